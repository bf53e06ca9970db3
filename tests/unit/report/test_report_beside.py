"""The page of several audits side by side."""

import re

import pytest
from report_samples import EMPTY_CELLS
from side_by_side_samples import ATTACKS, audits_by_factors

from ganguard.report.beside import render_beside
from ganguard.report.weak import SAID
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


def test_failed_adversaries_and_the_honest_floor_are_on_the_page() -> None:
    found = audits_by_factors((1, 3, 3), (3, 1, 3), seeds=3)
    page = render_beside(found)
    assert SAID.replace("'", "&#39;") not in page
    assert "was trained in audit 0, audit 1, so the honest floor is missing there" in page
    one, *others = found.lines[1].copies
    marked = one.model_copy(update={"failed": "why", "honest": one.distance, "closer": "no"})
    line = found.lines[1].model_copy(update={"copies": (marked, *others)})
    page = render_beside(found.model_copy(update={"lines": (found.lines[0], line)}))
    assert page.index(SAID.replace("'", "&#39;")) < page.index("audit 1: fidelity sngan") < page.index("<h1>")
    assert "fidelity sngan (did not learn what it bought)" in page
    assert "<td>no</td>" in page
    assert "was trained in audit 0, so the honest floor is missing there" in page
