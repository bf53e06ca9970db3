"""A conditional target in the report: how it was asked, numbers of each class, and pictures."""

import re
from pathlib import Path
from typing import Any

import pytest
from report_samples import EMPTY_CELLS, draw_grids, make_pictures, make_results, page

from ganguard.report.by_class import (
    MOST_ROWS,
    ByClass,
    by_class_section,
    class_remarks,
    conditions_in_words,
)
from ganguard.report.conditions import without_mean
from ganguard.report.grids import grid_rows, open_gallery
from ganguard.report.in_front import relations_note
from ganguard.report.tables import measure_table
from ganguard.report.words import headline
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.measures import CONSISTENCY, WITHIN
from ganguard.results.records import AttackRecord, AuditResults, Measurement, Picture, Verdict
from ganguard.results.target_record import UNIFORM, AskRecord, ConditionsRecord

WITH, WITHOUT = "fidelity sngan", "fidelity dcgan"  # labels of copies that learn classes, and of others
NAMES = ("cat", "dog", "eel")


def numbers(names: tuple[str, ...] = NAMES, seeds: int = 2) -> list[Measurement]:
    """Distances and consistency of all and of each class: of target, real images and copies with labels."""
    copy: dict[str, Any] = {"subject": "substitute", "attack": WITH, "query_budget": 5000}
    owners = [({**copy, "seed": seed}, ("target", "reference")) for seed in range(seeds)]
    owners += [({"subject": "target"}, ("target", "reference")), ({"subject": "train"}, ("reference",))]
    found: list[Measurement] = []
    for place, name in enumerate((None, *names)):
        common = {"condition": name, "images": 1000 if name is None else 300}
        for whose, sides in owners:
            said: dict[str, Any] = {**common, **whose, "metric": WITHIN, "compared": 300}
            found += [Measurement(**said, against=side, value=1.5 + place) for side in sides]
        for whose in (*(whose for whose, _ in owners[: seeds + 1]), {"subject": "real"}):
            said = {**common, **whose, "metric": CONSISTENCY, "against": "nothing", "compared": 0}
            found.append(Measurement(**said, value=0.9 - place / 100))
    return found


def pictures_by_class() -> tuple[Picture, ...]:
    common = {"columns": 4, "tile": (8, 8), "rows": NAMES}
    return (
        Picture(
            subject="substitute", attack=WITH, query_budget=5000, seed=0, file="by-class/copy.png", **common
        ),
        Picture(subject="target", file="by-class/target.png", **common),
        Picture(subject="real", file="by-class/real.png", **common),
    )


def conditional(
    names: tuple[str, ...] = NAMES, kind: str = "classes", seeds: int = 2, **changes: Any
) -> AuditResults:
    plain = make_results(seeds=seeds, draws=1)
    conditions = ConditionsRecord.model_validate({"kind": kind, "names": names})
    uniform = AskRecord(label="uniformly", digest=UNIFORM)
    rare = AskRecord(label="only eel", digest="2", names=("eel",))
    said: dict[str, tuple[AskRecord, bool]] = {WITH: (uniform, True), WITHOUT: (rare, False)}
    attacks = tuple(
        AttackRecord.model_validate({**vars(attack), "ask": ask, "labels": learns})
        for attack in plain.attacks
        for ask, learns in [said[attack.label]]
    )
    values: dict[str, Any] = {
        "target": plain.target.model_copy(update={"conditions": conditions}),
        "attacks": attacks,
        "measurements": (*plain.measurements, *numbers(names, seeds)),
        "pictures": (*make_pictures((WITH, WITHOUT)), *pictures_by_class()),
    }
    return make_results(seeds=seeds, draws=1, **{**values, **changes})


def test_honest_models_stand_between_the_yardsticks_and_the_copies(tmp_path: Path) -> None:
    plain = conditional()
    said = {"architecture": "sngan", "share": 1.0, "images": 70, "settings": {}}
    records = [
        IndependentRecord(label=f"sngan{more}", attacks=(attack,), **said)
        for more, attack in (("", WITHOUT), (" with labels", WITH))
    ]
    common = {"subject": "independent", "recipe": records[1].label, "metric": WITHIN, "against": "target"}
    honest = [
        Measurement(**common, condition=name, seed=seed, value=2.0 + seed, images=300, compared=300)
        for name in (None, *NAMES)
        for seed in range(2)
    ]
    results = plain.model_copy(
        update={"independent": tuple(records), "measurements": (*plain.measurements, *honest)}
    )
    draw_grids(results, tmp_path)
    fidelity, accuracy, _ = by_class_section(results, open_gallery(results, tmp_path)).tables
    headings = ("two draws of the target", "never saw it: sngan with labels", f"{WITH}, 5,000 images")
    assert fidelity.columns == headings
    assert fidelity.groups[1].rows[0].cells[1] == "2.50 ± 0.71"
    assert not any("never saw it" in column for column in accuracy.columns)


def test_each_class_has_a_row_beside_the_yardsticks(tmp_path: Path) -> None:
    results = conditional()
    draw_grids(results, tmp_path)
    found = by_class_section(results, open_gallery(results, tmp_path))
    assert found.heading == "Class by class"
    fidelity, accuracy, consistency = found.tables
    assert fidelity.columns == ("two draws of the target", f"{WITH}, 5,000 images")
    assert accuracy.columns == (
        "train split to reference split",
        "target to real images",
        f"{WITH}, 5,000 images",
    )
    assert consistency.columns == ("the target", "real images", f"{WITH}, 5,000 images")
    every, each = fidelity.groups
    assert [row.heading for row in every.rows] == ["all"]
    assert [row.heading for row in each.rows] == list(NAMES)
    assert every.rows[0].cells == ("1.50", "1.50 ± 0.00") and each.rows[2].cells == ("4.50", "4.50 ± 0.00")
    assert consistency.groups[1].rows[0].cells == ("0.890", "0.890", "0.890 ± 0.000")


def test_the_section_says_how_each_attack_asks_and_which_copies_learn_no_labels(tmp_path: Path) -> None:
    results = conditional()
    draw_grids(results, tmp_path)
    found = by_class_section(results, open_gallery(results, tmp_path))
    assert [(row.heading, *row.cells) for row in found.asks] == [
        (WITH, "yes", "uniformly"),
        (WITHOUT, "no", "only eel"),
    ]
    assert found.remarks[0] == "This model is asked for one of 3 classes with each image."
    assert found.remarks[1].startswith(f"Copies of {WITHOUT} learn no labels")


def changed(results: AuditResults, label: str, **changes: Any) -> AuditResults:
    """The same results with another record of one attack."""
    attacks = tuple(a.model_copy(update=changes) if a.label == label else a for a in results.attacks)
    return results.model_copy(update={"attacks": attacks})


def section(results: AuditResults, directory: Path) -> ByClass:
    draw_grids(results, directory)
    return by_class_section(results, open_gallery(results, directory))


def test_a_found_copy_with_numbers_of_classes_is_not_said_to_learn_none(tmp_path: Path) -> None:
    """A given model that can be asked has numbers of classes, whether or not anybody knows how it learnt."""
    results = changed(conditional(), WITH, ask=None, labels=None)
    found = section(results, tmp_path)
    assert [(row.heading, *row.cells) for row in found.asks] == [
        (WITH, "not known", "buys nothing"),
        (WITHOUT, "no", "only eel"),
    ]
    assert not any(WITH in remark for remark in found.remarks)
    assert found.tables[0].columns[-1] == f"{WITH}, 5,000 images"


def test_of_found_images_nobody_knows_what_they_were_asked_for(tmp_path: Path) -> None:
    results = changed(conditional(), WITHOUT, ask=None, labels=None)
    said = section(results, tmp_path).remarks
    assert said[1].startswith(f"What each image of {WITHOUT} was asked for is not known, so nothing is said")
    assert not any("learn no labels" in remark for remark in said)


def test_classes_that_a_copy_never_bought_are_named_beside_its_numbers(tmp_path: Path) -> None:
    ask = AskRecord(label="only eel", digest="2", names=("eel",))
    results = changed(conditional(), WITH, ask=ask)
    said = "never bought an image of cat and dog; its copies are asked for these too when they are measured."
    assert f"Fidelity sngan {said}" in section(results, tmp_path).remarks
    (beside,) = class_remarks(results)
    assert beside.endswith(f"in the target's, in 90.0%. This attack {said}")
    asked = results.target.model_copy(update={"ask": AskRecord(label="", digest="3", names=("dog", "eel"))})
    (beside,) = class_remarks(results.model_copy(update={"target": asked}))
    assert "never bought an image of dog; its" in beside
    assert "never bought" not in " ".join(class_remarks(conditional()))


def test_a_class_that_is_short_is_named_where_it_leaves_no_mean(tmp_path: Path) -> None:
    every = conditional()
    whole = every.model_copy(
        update={"measurements": tuple(m for m in every.measurements if m.query_budget in (None, 5000))}
    )
    assert without_mean(whole) == []

    def is_kept(m: Measurement) -> bool:
        of_one_copy = m.metric == WITHIN and m.against == "target" and m.seed == 1
        return not (of_one_copy and m.condition in (None, "dog"))

    results = whole.model_copy(update={"measurements": tuple(filter(is_kept, whole.measurements))})
    (said,) = without_mean(results)
    assert said == (
        "Within classes, 1 of 3 comparisons with images of the target has no mean: a set holds fewer than "
        "two images of dog. Measure more images a set (`samples`; now 1,000)."
    )
    assert said in section(results, tmp_path).remarks


def test_very_many_classes_without_a_mean_leave_a_reason_where_no_table_can_be(tmp_path: Path) -> None:
    conditions = ConditionsRecord(kind="classes", names=tuple(f"class {k}" for k in range(150)))
    whole = conditional(pictures=())
    whole = whole.model_copy(update={"target": whole.target.model_copy(update={"conditions": conditions})})
    results = whole.model_copy(
        update={"measurements": tuple(m for m in whole.measurements if m.metric != WITHIN)}
    )
    (said,) = without_mean(results)
    assert "a set holds fewer than two images of some of 150 classes" in said
    found = section(results, tmp_path)
    assert said in found.remarks and [table.heading for table in found.tables] == [
        "Is the class seen that was asked for?"
    ]


def test_pictures_by_class_stand_side_by_side_and_nowhere_else(tmp_path: Path) -> None:
    results = conditional()
    text = page(results, tmp_path)
    gallery = open_gallery(results, tmp_path)
    shown = by_class_section(results, gallery).pictures
    assert shown is not None and shown.heading == "Rows, from the top: cat, dog, eel"
    assert [grid.title for grid in shown.grids] == ["Real", "Target", "Copy from 5,000 images"]
    assert all(grid.alt.endswith("a row each of cat, dog, eel") for grid in shown.grids)
    for grid in shown.grids:
        assert text.count(grid.data) == 1
    others = grid_rows(results.of_all(), gallery)
    assert [len(row.grids) for row in others] == [2, 3, 3]


def test_numbers_of_single_classes_are_in_no_other_table() -> None:
    results = conditional()
    table = measure_table(results.of_all(), "target")
    assert "Fréchet distance within classes\N{NO-BREAK SPACE}↓" in table.columns
    assert len(table.groups[0].rows) == 3
    assert results.of_all().select(metric=WITHIN, subject="train")[0].condition is None
    assert len(results.of_all().select(metric=WITHIN, subject="train")) == 1


def test_remarks_and_cards_say_whether_the_class_is_seen_that_was_asked_for() -> None:
    said = headline(conditional().of_all())
    sentence = (
        f"{WITH}, 5,000 bought images: in 90.0% of the copies' images a classifier sees the class that was "
        "asked for; in the target's, in 90.0%."
    )
    assert sentence in said.remarks
    assert [card.seen for card in said.cards if card.attack == WITH and "5,000" in card.budget] == [
        "shows the class that was asked for: 90.0%"
    ]
    assert not any(card.seen for card in said.cards if "200" in card.budget)


@pytest.mark.parametrize(
    ("kind", "heading", "words"),
    [("prompts", "Prompt by prompt", "1 prompt: "), ("classes", "Class by class", "1 class: ")],
)
def test_prompts_are_called_prompts_and_long_ones_are_cut(
    kind: str, heading: str, words: str, tmp_path: Path
) -> None:
    prompt = "a red bird on a branch in the morning, oil on canvas, soft light, 1890"
    results = conditional((prompt,), kind, pictures=())
    found = by_class_section(results, open_gallery(results, tmp_path))
    assert found.heading == heading and found.tables[0].first == heading.split()[0].lower()
    row = found.tables[0].groups[1].rows[0].heading
    assert len(row) == 60 and row.endswith("…") and prompt.startswith(row[:-1])
    assert conditions_in_words(results) == words + row
    assert found.pictures is None


def test_a_thousand_classes_leave_a_table_of_the_first(tmp_path: Path) -> None:
    names = tuple(f"class {k}" for k in range(MOST_ROWS + 5))
    results = conditional(names, pictures=())
    found = by_class_section(results, open_gallery(results, tmp_path))
    assert len(found.tables[0].groups[1].rows) == MOST_ROWS
    assert found.tables[0].caption.endswith(". 5 more in results.json")
    assert conditions_in_words(results).endswith("class 11, …")


def test_without_numbers_of_single_classes_those_of_all_are_shown(tmp_path: Path) -> None:
    """Results of more classes than have records of their own."""
    results = conditional(pictures=())
    results = results.of_all()
    fidelity, *_ = by_class_section(results, open_gallery(results, tmp_path)).tables
    assert fidelity.columns[-1] == f"{WITH}, 5,000 images"
    assert [row.heading for group in fidelity.groups for row in group.rows] == ["all"]


def test_the_page_has_the_section_and_says_whose_relation_r8_is(tmp_path: Path) -> None:
    common = {"relation": "R8", "reason": "so", "seeds": 2}
    verdicts = (
        Verdict(**common, statement="A / B below 1", outcome="holds", ratio=0.7, low=0.5, high=0.9),
        Verdict(**common, statement="C / D below 1", outcome="undecided"),
    )
    results = conditional(verdicts=verdicts)
    text = page(results, tmp_path)
    visible = re.sub(r"<[^>]+>", " ", re.sub(r"base64,[A-Za-z0-9+/=]+", "", text.partition("</style>")[2]))
    for words in (
        "Class by class",
        "Is the class seen that was asked for?",
        "3 classes: cat, dog, eel",
        "(R8)? A / B below 1: holds; ratio 0.700 (0.500 to 0.900).",
        "(R8)? C / D below 1: undecided; so.",
    ):
        assert words in visible
    section = visible.partition("Class by class")[2].partition("All measured numbers")[0]
    assert not EMPTY_CELLS.search(section)
    ours = "R8, that labels help the copy at equal budget, is ours and not the paper's."
    assert relations_note(results) == ours and ours in text.replace("&#39;", "'")


def test_an_unconditional_target_has_no_such_section(tmp_path: Path) -> None:
    results = make_results()
    assert "by class" not in page(results, tmp_path).lower()
    assert class_remarks(results) == [] and conditions_in_words(results) == ""


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    results = conditional(seeds=1, pictures=())
    found = by_class_section(results, open_gallery(results, tmp_path))
    assert found.tables[0].groups[0].rows[0].cells == ("1.50", "1.50")
    assert found.tables[0].caption.endswith("one seed, so no spread is known")
