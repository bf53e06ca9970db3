"""Intervals over targets: the unit is the target, whatever its copies' seeds say."""

import math

import numpy as np
import pytest
from report_samples import EMPTY_CELLS
from side_by_side_samples import ATTACKS, audit_of

from ganguard.report.beside import PLACEBO, render_beside
from ganguard.report.numbers import number
from ganguard.results.intervals import t_interval
from ganguard.results.over_targets import over_targets
from ganguard.results.records import AuditResults
from ganguard.results.side_by_side import OfTarget, Placebo, SideBySide, side_by_side
from ganguard.results.verdicts import distances_of

ONE, OTHER, _ = ATTACKS


def _target(ratio: float, stream: int, budgets: tuple[int, ...] = (1000,)) -> AuditResults:
    """A target whose copies of one attack are `ratio` times as far as those of another."""
    return audit_of({ONE: ratio, OTHER: 1.0}, 5, stream, budgets)


def _logs(results: AuditResults) -> list[float]:
    one, other = (distances_of(results.measurements, each, 1000, "target") for each in (ONE, OTHER))
    return [math.log(one[seed] / other[seed]) for seed in one]


def test_an_interval_over_targets_is_that_of_one_number_a_target() -> None:
    found = {seed: _target(0.8, seed) for seed in (3, 5, 8)}
    (verdict,) = [v for v in over_targets(found).verdicts if v.relation == "R3"]
    wanted = t_interval([float(np.mean(_logs(results))) for results in found.values()])
    assert verdict.seeds == 3
    assert (verdict.ratio, verdict.low, verdict.high) == pytest.approx(
        (math.exp(wanted.mean), math.exp(wanted.low), math.exp(wanted.high))
    )


def test_what_holds_of_one_target_need_not_hold_of_its_kind() -> None:
    """Every target by itself tells the two attacks apart, but not all in the same way."""
    found = {seed: _target(ratio, seed) for seed, ratio in enumerate((0.5, 1.9, 0.6))}
    for results in found.values():
        assert abs(t_interval(_logs(results)).mean) > t_interval(_logs(results)).half
    (verdict,) = [v for v in over_targets(found).verdicts if v.relation == "R3"]
    assert verdict.outcome == "undecided"


def test_yardsticks_of_the_merged_results_are_means_over_targets() -> None:
    own = {"attack": None, "query_budget": None, "seed": None, "subject": "target", "against": "reference"}

    def target(seed: int, value: float) -> AuditResults:
        results = _target(1, seed)
        yardstick = results.measurements[0].model_copy(update={**own, "value": value})
        return results.model_copy(update={"measurements": (yardstick,)})

    found = {0: target(0, 1.0), 1: target(1, 4.0)}
    assert [(m.value, m.seed) for m in over_targets(found).measurements] == [(2.5, None)]


def _together(ratios: tuple[float, ...] = (0.5, 0.55, 0.45, 0.52)) -> SideBySide:
    audits = {f"mine-target-seed-{seed}": _target(r, seed, (100, 1000)) for seed, r in enumerate(ratios)}
    places = {name: OfTarget("mine", seed) for seed, name in enumerate(audits)}
    names = list(audits)
    apart = (Placebo(one=names[0], other=names[1], distance=0.25),)
    return side_by_side("mine", audits, targets=places, placebos=apart)


def test_the_page_of_several_targets_shows_the_placebo_as_a_floor() -> None:
    found = _together()
    assert (found.question, found.unit, found.query_budget) == ("targets", "targets", 1000)
    assert {verdict.relation for verdict in found.verdicts} == {"R1", "R2", "R3"}
    page = render_beside(found)
    assert PLACEBO in page and f">{number(0.25)}<" in page
    assert '<th scope="col">targets</th>' in page
    assert not EMPTY_CELLS.search(page.partition("</style>")[2])
    assert SideBySide.model_validate_json(found.model_dump_json()) == found


def test_the_question_of_architectures_takes_targets_as_units() -> None:
    """The same factors for every target of a spec: the substitutes differ, and no target changes it."""
    audits, places = dict[str, AuditResults](), dict[str, OfTarget]()
    for place, of in enumerate(("of sngan", "of pggan")):
        for seed in range(4):
            name = f"{of}-target-seed-{seed}"
            audits[name] = audit_of({ONE: 1.0, OTHER: 3.0}, 2, 100 + 10 * place + seed)
            places[name] = OfTarget(of, seed)
    found = side_by_side("pairs", audits, targets=places)
    assert found.question == "architectures"
    assert [verdict.outcome for verdict in found.verdicts] == ["holds", "undecided"]
    assert {verdict.seeds for verdict in found.ratios} == {4}
    assert [line.target_seed for line in found.lines] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert len(found.ratios) == 3  # one a spec, and one of both
