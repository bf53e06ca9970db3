"""On paper, the report keeps every column of its tables."""

from pathlib import Path

import pytest
from browser import CHROMIUM, layout
from report_samples import make_results, page

PAPER = 688  # CSS pixels of A4 within the report's margins
SMALLEST = (
    0.8  # of its size that print may be shrunk to; Chromium stops at two thirds, and cuts off what is wider
)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_no_column_is_cut_off(tmp_path: Path) -> None:
    """Chromium lays out what it would print, and tells how wide it came out."""
    results = make_results()
    kernels = results.select(metric="kernel_distance", against="target")
    bins = [
        m.model_copy(update={"metric": name, "value": m.value / 1000})
        for m in kernels
        for name in ("ndb", "jsd")
    ]
    first, *rest = results.measurements
    measured = (
        first.model_copy(update={"images": 500}),
        *rest,
        *bins,
    )  # a column says how many images there were
    text = page(make_results(measurements=measured), tmp_path)
    printed = text.replace("@media print", "@media screen").replace("(max-width: 40rem)", "(max-width: 1px)")
    assert layout(printed, tmp_path, PAPER).wide <= PAPER / SMALLEST
