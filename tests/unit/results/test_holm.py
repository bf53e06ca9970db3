"""Verdicts that hold together: Holm's procedure within each relation."""

import math
import random

import pytest
from scipy.stats import t, ttest_1samp

from ganguard.results.holm import corrected
from ganguard.results.records import Verdict
from ganguard.results.verdicts import below_one, differs_from_one

LEVEL = 0.05


def verdict(logs: list[float], relation: str = "R3") -> Verdict:
    judge = differs_from_one if relation == "R3" else below_one
    return judge(
        relation, "", {i: math.exp(log) for i, log in enumerate(logs)}, dict.fromkeys(range(len(logs)), 1.0)
    )


def holm_by_hand(p: list[float]) -> list[bool]:
    """Reject from the smallest p-value on, each at 5 % of what is left, until one is not rejected."""
    rejected = [False] * len(p)
    for k, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[place] > LEVEL / (len(p) - k):
            break
        rejected[place] = True
    return rejected


@pytest.mark.parametrize("seed", range(40))
def test_outcomes_are_those_of_holms_procedure(seed: int) -> None:
    numbers = random.Random(seed)
    every = [
        [numbers.gauss(numbers.choice([0, 0.5, 1, 2]), 0.5) for _ in range(numbers.choice([3, 5]))]
        for _ in range(numbers.randint(2, 9))
    ]
    found = corrected([verdict(logs) for logs in every])
    p = [float(ttest_1samp(logs, 0).pvalue) for logs in every]
    assert [v.outcome == "holds" for v in found] == holm_by_hand(p)
    for v in found:
        assert v.low is not None and v.high is not None
        assert v.corrected_low is not None and v.corrected_high is not None
        assert (v.outcome == "undecided") == (v.corrected_low <= 1 <= v.corrected_high)
        assert v.corrected_low <= v.low * (1 + 1e-9) and v.high <= v.corrected_high * (1 + 1e-9)


def test_the_last_of_holms_steps_is_taken_at_the_whole_level() -> None:
    """README's SNGAN / DCGAN at three budgets: Bonferroni's correction would take the first one back."""
    said = [(1.16, 1.01, 1.33), (0.46, 0.26, 0.81), (0.39, 0.26, 0.60)]
    ratios = [
        Verdict(
            relation="R3", statement="", outcome="holds", reason="r", seeds=5, ratio=r, low=low, high=high
        )
        for r, low, high in said
    ]
    found = corrected(ratios)
    assert [v.outcome for v in found] == ["holds"] * 3
    assert found[0].corrected_low == pytest.approx(1.16 / math.sqrt(1.33 / 1.01))
    wider = [float(t.ppf(1 - LEVEL / k / 2, 4)) / float(t.ppf(1 - LEVEL / 2, 4)) for k in (2, 3)]
    halves = [math.log(high / low) / 2 * w for (_, low, high), w in zip(said[1:], wider, strict=True)]
    for v, half in zip(found[1:], halves, strict=True):
        assert v.corrected_high == pytest.approx((v.ratio or 0) * math.exp(half))
    assert found[2].reason == "r, also corrected for 3 comparisons"


def test_what_is_lost_is_said() -> None:
    alone = verdict([0.2, 0.3, 0.1, 0.25, 0.02])
    assert alone.outcome == "holds"
    assert corrected([alone]) == [alone]
    lost, *undecided = corrected([alone, *[verdict([0.5, -0.5, 0.3, -0.3, 0.01])] * 19])
    assert lost.outcome == "undecided"
    assert lost.reason == "the 95 % interval excludes 1, and includes it once corrected for 20 comparisons"
    assert (lost.low, lost.high) == (alone.low, alone.high)
    assert {v.reason for v in undecided} == {"the 95 % interval includes 1"}


def test_each_relation_is_corrected_by_itself_and_what_has_no_interval_takes_no_part() -> None:
    decided, one_seed = verdict([1.0, 1.1, 0.9]), verdict([1.0])
    withheld = decided.model_copy(update={"ratio": None, "low": None, "high": None, "outcome": "undecided"})
    other = verdict([-1.0, -1.1, -0.9], "R1")
    given = [decided, one_seed, withheld, other]
    assert corrected(given) == given


def test_equal_distances_and_distances_that_do_not_vary_have_verdicts() -> None:
    equal, apart = verdict([0.0, 0.0, 0.0]), verdict([1.0, 1.0, 1.0])
    found = corrected([equal, apart, verdict([0.1, -0.2, 0.3])])
    assert [v.outcome for v in found] == ["undecided", "holds", "undecided"]
