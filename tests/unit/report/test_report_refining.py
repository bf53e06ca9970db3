"""The report says what refining did, in words, tables and pictures, whatever a refinement lacks."""

import re
from pathlib import Path
from typing import Any

import pytest
from refinement_samples import CASES, WHITE, distances, refined, refinement, tried
from report_samples import EMPTY_CELLS, draw_grids, make_results, page

from ganguard.report.grids import grid_rows, open_gallery
from ganguard.report.refining import RefiningSection, refining_section
from ganguard.results.records import AuditResults


def section(results: AuditResults, directory: Path) -> RefiningSection:
    draw_grids(results, directory)
    return refining_section(results, open_gallery(results, directory))


def text_of(results: AuditResults, directory: Path) -> str:
    (text,) = section(results, directory).remarks.values()
    return text


@pytest.mark.parametrize("case", CASES)
def test_every_case_reads_as_prose_in_the_pages_own_colours(case: str, tmp_path: Path) -> None:
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page(CASES[case](), tmp_path))
    assert "Did refining help?" in text
    text = re.sub(r"<style>.*?</style>|\bnone\b", "", text, flags=re.DOTALL)
    assert not EMPTY_CELLS.search(text)
    assert not re.search(r"#[0-9a-f]{6}", text)
    identifiers = re.findall(r'\bid="([^"]+)"', text)
    assert len(identifiers) == len(set(identifiers))


def test_a_report_without_refinements_has_no_such_section(tmp_path: Path) -> None:
    assert "Did refining help?" not in page(make_results(), tmp_path)


def test_the_words_say_what_was_chosen_and_whether_it_is_nearer(tmp_path: Path) -> None:
    assert text_of(CASES["as usual"](), tmp_path) == (
        "Of the powers 0, 0.5 and 1, the judge chose 0.5. The images kept are FD 3.10 from real images, "
        "those bought FD 3.60: nearer. Algorithm 1 untempered (logistic ratio, fitted to half of X_r, "
        "power 1) would keep images at FD 4.20. Chains were stuck at the power 1; at 1, of 9 chains of "
        "640 steps 2 moved, and 100 are wanted."
    )


def test_over_seeds_the_words_count_them(tmp_path: Path) -> None:
    records = [refinement(seed=seed, chosen=chosen, stuck={}) for seed, chosen in enumerate((0.5, 0.0, 0.5))]
    measured = [
        *distances(seed=0, refined=3.0, purchase=4.0),
        *distances(seed=1, refined=4.0, purchase=4.0),
        *distances(seed=2, refined=5.0, purchase=4.0),
    ]
    assert text_of(refined(*records, measured=measured), tmp_path) == (
        "Of the powers 0 and 0.5, the judge chose 0.5 under 2 seeds and 0 under 1 seed. Power 0 takes the "
        "images as they came, which says that subsampling does not help there. The images kept are FD 4.00 "
        "from real images, those bought FD 4.00: nearer under 1 seed and farther under 1 seed."
    )


def test_the_power_0_is_said_not_to_help(tmp_path: Path) -> None:
    measured = distances(refined=3.0, purchase=3.0)
    words = text_of(refined(refinement(chosen=0.0, stuck={}), measured=measured), tmp_path)
    assert (
        "the judge chose 0. Power 0 takes the images as they came, which says that subsampling does not "
        "help here." in words
    )
    assert words.endswith("The images kept are FD 3.00 from real images, and so are those bought.")


@pytest.mark.parametrize(
    ("case", "words"),
    [("one power", "Only the power 1 was tried."), ("plain stuck", "the chains were stuck under 1 seed.")],
)
def test_the_words_of_odd_cases(case: str, words: str, tmp_path: Path) -> None:
    assert words in text_of(CASES[case](), tmp_path)


def test_each_seed_stands_beside_algorithm_1(tmp_path: Path) -> None:
    found = section(refined(refinement(), refinement(seed=1, chosen=0.0, plain=stuck())), tmp_path)
    (group,) = found.diagnostics
    assert group.heading == f"{WHITE}, 100 images bought"
    assert [(row.heading, row.cells) for row in group.rows] == [
        ("seed 0", ("feature_head", "0.810", "-1.20", "31.0%", "0.5", "25.0%", "7", "60 / 100")),
        ("Algorithm 1", ("logistic", "0.810", "-1.20", "31.0%", "1", "25.0%", "7", "20 / 100")),
        ("seed 1", ("feature_head", "0.810", "-1.20", "31.0%", "0", "–", "–", "100 / 100")),
        ("Algorithm 1", ("logistic", "0.810", "-1.20", "31.0%", "stuck", "–", "–", "–")),
    ]
    assert found.powers == ("power 0", "power 0.5", "power 1", "Algorithm 1")
    assert [row.cells for row in found.scores[0].rows] == [
        ("0.300", "✓ 0.100", "stuck", "0.200"),
        ("✓ 0.300", "0.100", "stuck", "stuck"),
    ]


def stuck() -> dict[str, Any]:
    return refinement().plain.model_dump() | {"tried": None}


def test_powers_that_another_attack_tried_are_left_empty(tmp_path: Path) -> None:
    other = refinement(attack="another", tried=[tried(1.0, 0.2)], chosen=1.0, stuck={})
    found = section(refined(refinement(), other), tmp_path)
    assert found.powers == ("power 0", "power 0.5", "power 1", "Algorithm 1")
    assert found.scores[1].rows[0].cells == ("–", "–", "✓ 0.200", "0.200")


def test_pictures_are_of_the_largest_budget_under_the_seed_that_has_grids(tmp_path: Path) -> None:
    records = [refinement(query_budget=500, seed=1), refinement(query_budget=500, seed=0), refinement(seed=1)]
    (example,) = section(refined(*records), tmp_path).examples
    assert (example.title, example.note) == (WHITE, "500 images bought, seed 1")
    assert [plot.title for plot in example.plots] == [
        "Density ratio, before and after",
        "Reliability of the ratio",
        "Class balance",
    ]
    assert [(grid.title, grid.note) for grid in example.grids] == [
        ("Kept", "the first of 60, each once"),
        ("Dropped", "the first of 40"),
    ]


def test_kept_and_dropped_are_not_among_the_copies(tmp_path: Path) -> None:
    results = CASES["as usual"]()
    draw_grids(results, tmp_path)
    titles = [grid.title for row in grid_rows(results, open_gallery(results, tmp_path)) for grid in row.grids]
    assert titles and not {"Kept", "Dropped"} & set(titles)


def test_of_many_classes_the_commonest_are_drawn(tmp_path: Path) -> None:
    (example,) = section(CASES["many classes"](), tmp_path).examples
    plot = example.plots[2]
    assert plot.note.endswith("the 20 commonest of 1,000")
    assert "class 999: " in plot.svg and "class 979: " not in plot.svg


def test_the_plots_say_in_words_what_they_show(tmp_path: Path) -> None:
    ratios, reliability, classes = (
        plot.svg for plot in section(CASES["as usual"](), tmp_path).examples[0].plots
    )
    assert "100 images bought, 100 kept, from -2.00 to 2.00." in ratios
    assert "predicted 10%, real 12%; predicted 80%, real 75%." in reliability
    assert "class 0: 50.0%, 30.0%, 10.0%; class 1: 50.0%, 70.0%, 90.0%; class 2: 0.0%, 0.0%, 0.0%." in classes
