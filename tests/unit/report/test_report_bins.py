"""Histograms over clusters of the train split: what the report shows of them, and what it leaves out."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from report_samples import make_results, page

from ganguard.report.bins import bins_section
from ganguard.results.bins import BinsRecord
from ganguard.results.records import AuditResults

LABEL = "fidelity sngan"


def record(subject: Any, *counts: int, different: tuple[int, ...] = (), **whose: Any) -> BinsRecord:
    return BinsRecord(subject=subject, counts=counts, different=different, **whose)


def of_copy(seed: int, budget: int, *counts: int, different: tuple[int, ...] = ()) -> BinsRecord:
    return record("substitute", *counts, different=different, attack=LABEL, query_budget=budget, seed=seed)


def with_bins(*records: BinsRecord) -> AuditResults:
    return make_results((LABEL,), bins=records)


TRAIN = record("train", 600, 300, 100)


def test_every_set_has_a_panel_and_copies_are_of_the_largest_budget() -> None:
    section = bins_section(
        with_bins(
            TRAIN,
            record("real", 290, 160, 50),
            record("target", 500, 400, 100, different=(0, 1)),
            of_copy(1, 5000, 900, 100, 0, different=(0, 1, 2)),
            of_copy(0, 5000, 990, 10, 0, different=(0, 2)),
            of_copy(0, 200, 1000, 0, 0, different=(0, 1, 2)),
        )
    )
    assert section is not None and (section.bins, section.images) == ("3", "1,000")
    assert [(panel.title, panel.note) for panel in section.panels] == [
        ("held-out real images", "0 of 3 bins differ (of 500 images)"),
        ("the target", "2 of 3 bins differ (of 1,000 images)"),
        (
            f"{LABEL}, from 5,000 images",
            "seed 0: 2 of 3 bins differ; under the other seed 3 (of 1,000 images)",
        ),
    ]
    drawn = section.panels[2].svgs
    assert len(drawn) == 2 and all("1 bin holds none of its images" in svg for svg in drawn)


def test_only_significant_bins_have_full_dots() -> None:
    section = bins_section(
        with_bins(TRAIN, record("real", 600, 300, 100), record("target", 900, 90, 10, different=(0, 1, 2)))
    )
    assert section is not None
    same, different = (panel.svgs[0] for panel in section.panels)
    assert "var(--series-0)" in same and "var(--series-1)" not in same
    assert "var(--series-1)" in different and "var(--series-0)" not in different


def test_the_page_holds_the_section_where_there_are_bins_alone(tmp_path: Path) -> None:
    heading = "Does a copy show every kind of image as often?"
    assert heading in page(with_bins(TRAIN, record("target", 500, 400, 100)), tmp_path)
    assert bins_section(with_bins(record("target", 500, 400, 100))) is None
    assert heading not in page(with_bins(), tmp_path)


def test_sets_over_other_bins_are_left_out() -> None:
    section = bins_section(with_bins(TRAIN, record("target", 5, 5)))
    assert section is not None and section.panels == ()


@pytest.mark.parametrize(
    ("counts", "different"), [((0, 0), ()), ((1, 2), (2,)), ((1, 2), (1, 0)), ((1, 2), (0, 0)), ((3,), ())]
)
def test_histograms_that_cannot_be_are_refused(counts: tuple[int, ...], different: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        record("target", *counts, different=different)


def test_results_without_bins_are_written_as_before() -> None:
    assert "bins" not in with_bins().model_dump(mode="json")
    again = AuditResults.model_validate(with_bins(TRAIN).model_dump(mode="json"))
    assert again.bins == (TRAIN,)
