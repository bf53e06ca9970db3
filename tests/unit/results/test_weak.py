"""Adversaries that did not learn what they bought: who they are, and what is not concluded from them."""

import pytest
from defence_samples import copy_of, defence, users_of
from honest_samples import bought_images, honest_model, record_of

from ganguard.results.protection import protection_verdicts
from ganguard.results.records import AttackRecord, Knows, Measurement
from ganguard.results.weak import WeakAdversary, failed_attacks, weak_adversaries

ATTACK = "fidelity sngan"
RECORD = record_of("sngan", [ATTACK])


def found(measurements: list[Measurement], *knows: Knows) -> tuple[WeakAdversary, ...]:
    attack = AttackRecord(
        label=ATTACK,
        kind="fidelity",
        architecture="sngan",
        knows=knows,
        query_budgets=(5000,),
        settings={},
    )
    return weak_adversaries(measurements, [attack], [RECORD])


def one(
    copy: float, bought: float, honest: float | None, *, spread: float | None = None, seed: int = 0
) -> list[Measurement]:
    measured = [
        copy_of(copy, seed, None, None).model_copy(update={"spread": spread}),
        bought_images(bought, seed, 5000),
    ]
    return measured if honest is None else [*measured, honest_model(honest, seed, "sngan")]


@pytest.mark.parametrize(
    ("copy", "bought", "honest", "spread", "weak"),
    [
        (12.0, 0.33, 0.14, None, True),
        (12.0, 0.33, 0.14, 0.5, True),
        (0.6, 0.33, 0.14, None, False),  # not twice the bought images
        (0.13, 0.05, 0.14, None, False),  # nearer than an honest model
        (0.8, 0.33, 0.14, 0.2, False),  # its interval reaches below
        (12.0, 0.33, 13.0, None, False),  # the recipe does no better with real images
        (12.0, 0.33, None, None, True),  # no honest model: the bought images alone
    ],
)
def test_a_copy_fails_if_its_interval_lies_above_both(
    copy: float, bought: float, honest: float | None, spread: float | None, weak: bool
) -> None:
    adversaries = found(one(copy, bought, honest, spread=spread))
    assert bool(adversaries) is weak
    if weak:
        (adversary,) = adversaries
        assert (adversary.copies, adversary.bought, adversary.honest) == (copy, bought, honest)
        assert (adversary.failed, adversary.seeds, adversary.whose.seed) == (1, 1, None)


def test_most_seeds_decide_so_that_one_that_diverged_is_no_weak_adversary() -> None:
    good, bad = ((0.1, 0.08, 0.14), (12.0, 0.08, 0.14))

    def adversaries(*copies: tuple[float, float, float]) -> tuple[WeakAdversary, ...]:
        return found([m for seed, values in enumerate(copies) for m in one(*values, seed=seed)])

    assert not adversaries(good, good, bad)
    assert not adversaries(good, bad)
    (weak,) = adversaries(bad, good, bad)
    assert (weak.failed, weak.seeds) == (2, 3)


def test_each_copy_is_judged_by_its_own_purchase() -> None:
    """A poor purchase excuses the copy that was trained on it, and no other."""
    lucky, poor = one(1.5, 0.2, 0.1, seed=0), one(1.5, 1.0, 0.1, seed=1)
    assert found([*lucky]) and not found([*poor])


def test_a_copy_of_real_images_that_is_near_them_has_learnt_those() -> None:
    measured = one(0.5, 0.1, 0.14)
    near, far = (copy_of(v, 0, None, None).model_copy(update={"against": "reference"}) for v in (0.3, 40.0))
    real = honest_model(0.4, 0, "sngan", "reference")
    assert found([*measured, near, real])  # holds no real images
    assert not found([*measured, near, real], "real images")
    assert found([*measured, far, real], "real images")


@pytest.mark.parametrize(("honest_to_real", "weak"), [(40.0, True), (5.9, False)])
def test_an_honest_model_that_learnt_nothing_excuses_no_copy(honest_to_real: float, weak: bool) -> None:
    """A training that is too short is too short for both, so that both are about as far."""
    target_to_real = users_of(3.0, None)
    measured = [*one(27.8, 0.68, 36.0), target_to_real, honest_model(honest_to_real, 0, "sngan", "reference")]
    assert bool(found(measured)) is weak
    assert not found([m for m in measured if m.subject != "target"])
    to_real = copy_of(30.0, 0, None, None).model_copy(update={"against": "reference"})
    assert bool(found([*measured, to_real], "real images")) is weak  # nearer to them than such a model is


def test_a_copy_that_was_given_or_moved_and_one_without_a_purchase_are_not_judged() -> None:
    for knows in ("a copy", "another domain"):
        assert not found(one(12.0, 0.3, 0.1), knows)
    assert not found([copy_of(12.0, 0, None, None)])


def test_an_adversary_that_averages_is_judged_by_its_own_averages() -> None:
    shared = bought_images(0.3, 0, 5000, "noise")
    own = bought_images(9.0, 0, 5000, "noise", "averaging 8")
    copies = [copy_of(10.0, 0, "noise", who) for who in ("naive", "averaging 8")]
    (weak,) = found([shared, own, *copies])
    assert (weak.whose.defence, weak.whose.adversary) == ("noise", "naive")


def test_verdicts_on_defences_are_withheld_where_the_closest_adversary_failed() -> None:
    seeds = range(5)
    noise, jpeg = defence("noise"), defence("JPEG", "jpeg")
    measured = [users_of(3.0, None), users_of(3.1, "noise"), users_of(3.2, "JPEG")]
    for seed in seeds:
        shift = 0.01 * seed
        measured += [
            copy_of(1.0 + shift, seed, None, None),
            bought_images(0.9, seed, 5000),
            copy_of(12.0 + shift, seed, "noise", "naive"),
            bought_images(1.2, seed, 5000, "noise"),
            copy_of(3.0 + shift, seed, "JPEG", "naive"),
            bought_images(2.5, seed, 5000, "JPEG"),
            honest_model(5.0 + shift, seed, "sngan"),
        ]
    weak = found(measured)
    assert [each.whose.defence for each in weak] == ["noise"]
    of_noise, of_jpeg, of_both = protection_verdicts(measured, [noise, jpeg], weak)
    assert (of_noise.outcome, of_noise.ratio) == ("undecided", None)
    assert (
        "withheld: the closest adversary behind noise (naive) did not learn what it bought" in of_noise.reason
    )
    assert of_jpeg.outcome == "holds"
    assert of_both.outcome == "undecided" and "withheld" in of_both.reason
    assert all(verdict.outcome == "holds" for verdict in protection_verdicts(measured, [noise, jpeg]))


def test_without_a_defence_that_was_fairly_tried_no_defence_is_judged() -> None:
    measured = [users_of(3.0, None), users_of(3.1, "noise")]
    for seed in range(5):
        measured += [
            copy_of(10.0 + 0.01 * seed, seed, None, None),
            bought_images(0.3, seed, 5000),
            copy_of(20.0, seed, "noise", "naive"),
            bought_images(19.0, seed, 5000, "noise"),
        ]
    (verdict,) = protection_verdicts(measured, [defence("noise")], found(measured))
    assert "withheld: the adversary without a defence did not learn" in verdict.reason


def test_only_copies_without_a_defence_count_against_the_relations() -> None:
    behind = [copy_of(12.0, 0, "noise", "naive"), bought_images(0.33, 0, 5000, "noise")]
    assert len(found(behind)) == 1 and failed_attacks(found(behind)) == {}
    ((copy, why),) = failed_attacks(found([*behind, *one(12.0, 0.33, 0.14)])).items()
    assert copy == (ATTACK, 5000)
    assert why == (
        "withheld: fidelity sngan with 5,000 queries did not learn what it bought (its copies are at 12, the "
        "bought images at 0.33); train longer or stronger"
    )
