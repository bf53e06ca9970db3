"""Find the attacks of a spec that the relations R4 to R6 and R8 compare.

Two attacks are compared if they differ in nothing but what the relation is about.
"""

from collections.abc import Iterator
from itertools import permutations
from typing import Any

from ganguard.architectures.networks import classes_of
from ganguard.attacks.protocol import AttackSettings, Relation
from ganguard.results.verdicts import Improvement
from ganguard.targets.ask import UNIFORM, Ask

Labelled = list[tuple[str, list[AttackSettings]]]

_ADDED: dict[Relation, tuple[str, ...]] = {
    "R4": ("real images",),
    "R5": ("discriminator",),
    "R6": ("images", "a copy"),  # stolen from bought images, or before
}
"""What the better of two attacks has: one of these, and nothing else that the other lacks."""

_NO_PART_OF_A_RECIPE = frozenset({"kind", "query_budget", "checkpoint_every"})


def improvements(labelled: Labelled, ask: Ask | None = None) -> tuple[Improvement, ...]:
    """Return the pairs of attacks, by label, that relations compare, sorted by relation.

    ask: how attacks ask a conditional target that name no way of their own; None asks uniformly.

    R4: real images beside none. R5: D beside none. R6: a stolen copy that is moved, beside training from
    scratch. R8: a copy that learns which image was which class, beside one that throws the classes away.
    """
    first_of_each = [(label, _asking(by_budget[0], ask)) for label, by_budget in labelled]
    found = [pair for one, other in permutations(first_of_each, 2) for pair in _pairs(one, other)]
    return tuple(sorted(found, key=lambda pair: pair.relation))


def _asking(attack: AttackSettings, usual: Ask | None) -> AttackSettings:
    """Return an attack that names how it asks, if that is not uniformly: two that ask alike are equal."""
    ask = attack.ask or usual or UNIFORM
    return attack.model_copy(update={"ask": None if ask.is_uniform else ask})


def _pairs(one: tuple[str, AttackSettings], other: tuple[str, AttackSettings]) -> Iterator[Improvement]:
    (label, better), (over, plain) = one, other
    against = "domain" if better.needs().domain else "reference"
    for relation, kind in better.improves_on.items():
        if plain.kind == kind and _adds(relation, better, plain) and _alike(better, plain):
            yield Improvement(relation, label, over, against)
    if _labels_alone(better, plain):
        yield Improvement("R8", label, over, "target")


def _labels_alone(better: AttackSettings, plain: AttackSettings) -> bool:
    """Return whether two attacks differ in nothing but that the copies of `better` have classes.

    Copies that are moved to another domain are not meant to be near the target.
    """
    has = classes_of(better.architecture) > 0 and not classes_of(plain.architecture)
    return has and not better.needs().domain and _without_classes(better) == _without_classes(plain)


def _without_classes(attack: AttackSettings) -> dict[str, Any]:
    said = attack.model_dump(exclude={"query_budget", "checkpoint_every"})
    return {**said, "architecture": {**said["architecture"], "classes": 0}}


def _adds(relation: Relation, better: AttackSettings, plain: AttackSettings) -> bool:
    """Return whether `better` has all that `plain` has, and nothing more than what the relation is about."""
    has, lacks = _has(better), _has(plain)
    return any(has == lacks | {part} and part not in lacks for part in _ADDED[relation])


def _has(attack: AttackSettings) -> frozenset[str]:
    """Return what the adversary of an attack has, "images" if it buys some."""
    needs = attack.needs()
    return frozenset(needs.knows()) | ({"images"} if needs.purchase else set())


def _alike(one: AttackSettings, other: AttackSettings) -> bool:
    """Return whether all settings that both attacks share are equal, but for what their adversaries have."""
    shared = type(one).model_fields.keys() & type(other).model_fields.keys()
    compared = shared - _NO_PART_OF_A_RECIPE - one.own - other.own
    return one.model_dump(include=set(compared)) == other.model_dump(include=set(compared))
