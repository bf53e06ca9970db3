"""Tables hold every copy and every yardstick, with directions, counts and what they are of."""

import re
from pathlib import Path
from typing import Any

from report_samples import make_results, page

from ganguard.report.plots import WIDE, legend, quality_picture
from ganguard.report.tables import measure_table
from ganguard.results.records import Measurement


def test_tables_hold_every_copy_and_yardstick_with_directions_and_counts() -> None:
    table = measure_table(make_results(seeds=5), "target")
    assert tuple(column.replace("\N{NO-BREAK SPACE}", " ") for column in table.columns) == (
        "Fréchet distance ↓",
        "Fréchet distance, unbiased ↓",
        "kernel distance ↓",
        "precision ↑",
        "recall ↑",
        "density ↑",
        "coverage ↑",
    )
    assert table.images == "1,000 images a set, compared with 540 images"
    assert [group.heading for group in table.groups] == ["fidelity sngan", "fidelity dcgan", "yardsticks"]
    assert [row.heading for row in table.groups[0].rows] == ["200", "1,000", "5,000"]
    assert re.fullmatch(r"3[5-7]\.\d ± 0\.\d", table.groups[0].rows[0].cells[0])
    assert [row.heading for row in table.groups[-1].rows] == ["two draws of the target", "noise to target"]
    real = measure_table(make_results(), "reference")
    assert [row.heading for row in real.groups[-1].rows] == [
        "target to real images",
        "two halves of the real images",
        "noise to real images",
    ]


def test_the_bought_images_themselves_are_shown_by_budget() -> None:
    whose: dict[str, Any] = {
        "subject": "purchase",
        "seed": 0,
        "metric": "frechet_distance",
        "against": "target",
    }
    bought = [
        Measurement(**whose, query_budget=b, value=v, images=b, compared=9)
        for b, v in ((200, 0.9), (5000, 0.07))
    ]
    results = make_results()
    results = results.model_copy(update={"measurements": (*results.measurements, *bought)})
    group = measure_table(results, "target").groups[-2]
    assert group.heading == "the bought images themselves"
    assert [(row.heading, row.cells[0], row.cells[-1]) for row in group.rows] == [
        ("200", "0.900", "200 / 9"),
        ("5,000", "0.0700", "5,000 / 9"),
    ]
    assert legend(results).replay and not legend(make_results()).replay
    before, after = (quality_picture(r, WIDE, "", "") for r in (make_results(), results))
    assert after.count("<use") > before.count("<use")  # crosses, which one budget alone has too
    assert after.count("<path") > before.count("<path")


def test_memorisation_stands_beside_fresh_images_of_the_target() -> None:
    whose: dict[str, Any] = {
        "query_budget": 200,
        "seed": 0,
        "metric": "authenticity",
        "against": "purchase",
        "images": 9,
    }
    copy = Measurement(
        **whose, subject="substitute", attack="fidelity sngan", value=0.31, spread=0.02, compared=200
    )
    fresh = Measurement(**whose, subject="target", value=0.62, spread=0.01, compared=200)
    results = make_results()
    results = results.model_copy(update={"measurements": (*results.measurements, copy, fresh)})
    first, last = measure_table(results, "purchase").groups
    assert (first.heading, last.heading) == ("fidelity sngan", "fresh images of the target")
    assert [row.cells for row in (*first.rows, *last.rows)] == [("0.310",), ("0.620",)]  # one seed


def test_a_number_without_a_better_direction_has_no_arrow_and_closer_is_said_of_distances_alone(
    tmp_path: Path,
) -> None:
    whose: dict[str, Any] = {
        "query_budget": 200,
        "seed": 0,
        "against": "purchase",
        "images": 9,
        "compared": 9,
    }
    copies = [
        Measurement(
            **whose, subject="substitute", attack="fidelity sngan", metric=metric, value=0.9, spread=0.02
        )
        for metric in ("authenticity", "nearest_distance_ratio")
    ]
    results = make_results()
    results = results.model_copy(update={"measurements": (*results.measurements, *copies)})
    columns = ("authenticity\N{NO-BREAK SPACE}↑", "distance to the nearest")
    assert measure_table(results, "purchase").columns == columns
    assert measure_table(results, "purchase").groups[0].rows[0].cells == ("0.900",) * 2
    text = " ".join(page(results, tmp_path).split())
    assert "is closer. A closer copy" not in text and "higher is closer" not in text
    for wanted in (
        "↓: lower is better. ↑: higher is better. In the tables of fidelity, accuracy",
        "<b>distance to the nearest</b>: Median distance to the nearest training image",
        "<b>authenticity</b>\N{NO-BREAK SPACE}↑: Share of the images",
        "<b>Fréchet distance</b>\N{NO-BREAK SPACE}↓, in squared standard deviations of features: Distance",
    ):
        assert wanted.replace("\N{NO-BREAK SPACE}", " ") in text, wanted
    assert "<b>PIQE</b>" not in text


def test_what_is_measured_of_one_set_has_yardsticks_of_its_own() -> None:
    whose: dict[str, Any] = {"metric": "inception_score", "against": "nothing", "compared": 0}
    scores = [
        Measurement(
            **whose,
            subject="substitute",
            attack="fidelity sngan",
            query_budget=200,
            seed=0,
            value=8.0,
            images=9,
        ),
        Measurement(**whose, subject="target", value=9.0, images=9),
        Measurement(**whose, subject="real", value=9.5, images=5),
    ]
    results = make_results()
    table = measure_table(
        results.model_copy(update={"measurements": (*results.measurements, *scores)}), "nothing"
    )
    assert table.columns == ("inception score\N{NO-BREAK SPACE}↑", "images")
    assert [(row.heading, row.cells) for row in table.groups[-1].rows] == [
        ("the target", ("9.000", "9")),
        ("real images (reference split)", ("9.500", "5")),
    ]


def test_sets_of_other_sizes_get_a_column_that_says_so() -> None:
    first, *rest = make_results().measurements
    table = measure_table(
        make_results(measurements=(first.model_copy(update={"images": 500}), *rest)), "target"
    )
    assert table.images == "" and table.columns[-1] == "images / compared with"
    assert table.groups[0].rows[0].cells[-1] == "500 to 1,000 / 540"
    assert table.groups[0].rows[1].cells[-1] == "1,000 / 540"
