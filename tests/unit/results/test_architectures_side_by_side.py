"""R3 over several audits: what differs is found, and what is noise is not, however many ratios are asked."""

import pytest
from honest_samples import bought_images, with_honest
from side_by_side_samples import ATTACKS, audit_of, audits_by_factors

from ganguard.base.errors import SpecError
from ganguard.results.side_by_side import side_by_side


def test_equal_substitutes_are_seldom_told_apart() -> None:
    """Nine ratios a question, of which a 95 % interval each would call one different in a third of all
    cases."""
    outcomes = [
        [verdict.outcome for verdict in audits_by_factors((1, 1, 1), (1, 1, 1), (1, 1, 1), stream=s).verdicts]
        for s in range(60)
    ]
    assert sum(one == "holds" for one, _ in outcomes) <= 8
    assert sum(other == "holds" for _, other in outcomes) <= 8


def test_a_better_substitute_is_found_and_that_no_target_changes_it() -> None:
    substitutes, depends = audits_by_factors((1, 1, 3), (1, 1, 3), (2, 2, 6)).verdicts
    assert (substitutes.outcome, depends.outcome) == ("holds", "undecided")
    assert substitutes.reason.startswith("6 of 9 ratios differ from 1")


def test_what_depends_on_the_target_isaudits_by_factors() -> None:
    assert [v.outcome for v in audits_by_factors((1, 3, 3), (3, 1, 3), (3, 3, 1)).verdicts] == [
        "holds",
        "holds",
    ]


def test_every_ratio_says_what_it_is_of() -> None:
    ratios = {ratio.statement: ratio for ratio in audits_by_factors((1, 2, 2), (1, 1, 1), (1, 1, 1)).ratios}
    assert len(ratios) == 18
    one = ratios["audit 0: fidelity sngan / fidelity pggan"]
    assert one.ratio == pytest.approx(1 / 2, rel=0.2)
    assert one.low is not None
    assert one.high is not None
    assert one.low < one.ratio < one.high
    two = ratios["fidelity sngan / fidelity pggan, of audit 0 / of audit 1"]
    assert two.ratio == pytest.approx(1 / 2, rel=0.3)


def test_one_seed_decides_nothing() -> None:
    found = audits_by_factors((1, 9, 9), (1, 1, 1), seeds=1)
    assert {verdict.outcome for verdict in (*found.verdicts, *found.ratios)} == {"undecided"}
    assert all("no interval" in verdict.reason for verdict in found.verdicts)


def test_the_largest_budget_that_all_have_is_compared() -> None:
    factors = dict.fromkeys(ATTACKS, 1.0)
    audits = {"a": audit_of(factors, 2, 0, (100, 1000)), "b": audit_of(factors, 2, 1, (100,))}
    assert side_by_side("pairs", audits).query_budget == 100


def test_audits_with_nothing_in_common_are_refused() -> None:
    audits = {
        "a": audit_of({ATTACKS[0]: 1, ATTACKS[1]: 1}, 2, 0),
        "b": audit_of({ATTACKS[0]: 1, ATTACKS[2]: 1}, 2, 1),
    }
    with pytest.raises(SpecError, match="pairs: its audits must have two attacks"):
        side_by_side("pairs", audits)


def test_what_a_failed_adversary_would_show_is_withheld_and_honest_models_stand_beside() -> None:
    """In one audit the third substitute is nine times as far as the others, and as the bought images."""
    audits = {
        "sound": audit_of(dict.fromkeys(ATTACKS, 1.0), 5, 0),
        "failed": audit_of({**dict.fromkeys(ATTACKS, 1.0), ATTACKS[2]: 9.0}, 5, 1),
    }
    told = side_by_side("pairs", audits)
    assert [verdict.outcome for verdict in told.verdicts] == ["holds", "holds"]
    bought = tuple(bought_images(0.001, seed, 1000) for seed in range(5))
    audits["failed"] = audits["failed"].model_copy(
        update={"measurements": (*audits["failed"].measurements, *bought)}
    )
    audits["failed"] = with_honest(audits["failed"], {ATTACKS[0]: (0.01, 0.011)})
    found = side_by_side("pairs", audits)
    assert [(v.outcome, v.reason.rpartition("; ")[2]) for v in found.verdicts] == [
        ("undecided", "2 withheld"),
        ("undecided", "2 withheld"),
    ]
    failed = {(line.audit, copies.attack) for line in found.lines for copies in line.copies if copies.failed}
    assert failed == {("failed", ATTACKS[2])}
    withheld = [ratio for ratio in found.ratios if ratio.reason.startswith("withheld")]
    assert len(withheld) == 4 and all(ATTACKS[2] in ratio.statement for ratio in withheld)
    first, second, _ = found.lines[1].copies
    assert first.honest is not None and first.honest.mean == pytest.approx(0.0105)
    assert (first.closer, second.closer, second.honest) == ("yes", None, None)
