"""What the strongest adversary tried, in words and a table."""

from report_samples import make_results

from ganguard.report.panel import CHOSEN, panel_section
from ganguard.results.panels import PanelRecord, TriedRecipe


def record(seed: int, budget: int, chosen: int, scores: list[float], **whose: str) -> PanelRecord:
    tried = [
        TriedRecipe(recipe=f"{place + 1}. {kind}", score=score, step=100 * place + 100, seconds=60.0)
        for place, (kind, score) in enumerate(zip(("flow", "sngan"), scores, strict=True))
    ]
    return PanelRecord(
        attack="strongest",
        query_budget=budget,
        seed=seed,
        tried=tuple(tried),
        chosen=chosen,
        seconds=30.0,
        **whose,  # pyright: ignore[reportArgumentType]
    )


def test_every_recipe_has_a_row_and_the_chosen_one_a_second() -> None:
    panels = (
        record(1, 200, 1, [0.5, 0.25]),
        record(0, 200, 1, [0.5, 0.4]),
        record(0, 1000, 0, [0.001, 0.2]),
    )
    section = panel_section(make_results().model_copy(update={"panels": panels}))
    assert section is not None
    assert section.remark == (
        "It chose, with 200 images: 2. sngan (2 times); with 1,000 images: 1. flow (1 time). All its "
        "trainings took 7 min 30 s together."
    )
    assert [group.heading for group in section.groups] == [
        "strongest, 200 images, seed 0",
        "strongest, 200 images, seed 1",
        "strongest, 1,000 images, seed 0",
    ]
    assert [(row.heading, *row.cells) for row in section.groups[0].rows] == [
        ("1. flow", "0.500", "100", "1 min 0 s", ""),
        ("2. sngan", "0.400", "200", "1 min 0 s", CHOSEN),
        ("2. sngan, on the whole purchase", "", "200", "30 s", ""),
    ]


def test_copies_behind_a_defence_say_so() -> None:
    behind = record(0, 200, 0, [0.1, 0.2], defence="jpeg 30", adversary="naive")
    section = panel_section(make_results().model_copy(update={"panels": (behind,)}))
    assert section and section.groups[0].heading == "strongest, 200 images, seed 0, behind jpeg 30, naive"


def test_without_a_panel_there_is_no_section() -> None:
    assert panel_section(make_results()) is None
