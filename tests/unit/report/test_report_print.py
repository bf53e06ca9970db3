"""On paper, the report keeps every column of its tables."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_samples import make_results, page

CHROMIUM = shutil.which("chromium")
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
    (tmp_path / "page.html").write_text(printed)
    frame = tmp_path / "frame.html"
    said = "document.title=f.contentDocument.documentElement.scrollWidth"
    frame.write_text(
        f'<iframe id="f" src="page.html" style="width:{PAPER}px;height:900px;border:0" '
        f'onload="{said}"></iframe>'
    )
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=3000",
    ]
    command = [
        str(CHROMIUM),
        *options,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--dump-dom",
        frame.as_uri(),
    ]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>(\d+)</title>", dumped)
    assert found, dumped[:500]
    assert int(found[1]) <= PAPER / SMALLEST
