"""The page of several audits side by side."""

import re

import pytest
from report_samples import EMPTY_CELLS
from side_by_side_samples import ATTACKS, audits_by_factors

from ganguard.report.beside import render_beside
from ganguard.results.side_by_side import SideBySide


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_page_shows_every_cell_and_links_to_every_audit(seeds: int) -> None:
    found = audits_by_factors((1, 3, 3), (3, 1, 3), seeds=seeds)
    page = render_beside(found)
    assert not EMPTY_CELLS.search(re.sub(r"<style>.*?</style>", "", page, flags=re.S))
    assert all(f'href="audit {i}/report.html"' in page for i in range(2))
    assert all(attack in page for attack in ATTACKS)
    assert SideBySide.model_validate_json(found.model_dump_json()) == found


def test_a_target_that_is_not_sound_is_told_of_first() -> None:
    found = audits_by_factors((1, 3, 3), (3, 1, 3), seeds=1)
    assert 'role="alert"' not in render_beside(found)
    broken = found.lines[1].model_copy(update={"state": "broken", "reason": "it is at FD 9, noise at 8"})
    page = render_beside(found.model_copy(update={"lines": (found.lines[0], broken)}))
    assert page.index(f"{broken.audit}: This target is broken: it is at FD 9, noise at 8") < page.index(
        "<h1>"
    )
    assert page.count('role="alert"') == 1
