"""Which attacks of a spec the relations R4 to R6 compare: two that differ in nothing but what the relation is
about."""

from collections.abc import Iterator
from itertools import permutations

from ganguard.attacks.accuracy_partial_black_box import PartialBlackBoxSettings
from ganguard.attacks.accuracy_white_box import WhiteBoxSettings
from ganguard.attacks.fidelity import FidelitySettings
from ganguard.attacks.protocol import AttackSettings
from ganguard.attacks.real_images import RealImagesSettings
from ganguard.attacks.transfer import TransferSettings
from ganguard.results.verdicts import Improvement
from ganguard.training.settings import TrainingSettings

Labelled = list[tuple[str, list[AttackSettings]]]


def improvements(labelled: Labelled) -> tuple[Improvement, ...]:
    """Of attacks by label. R4: real images beside none. R5: a white box beside a partial black one. R6: a
    moved copy beside training from scratch. A partial black box that goes on with a copy that existed already
    is in no pair: who knows what that was made of, and it is the same under every seed."""
    found = [
        pair
        for one, other in permutations([(label, s[0]) for label, s in labelled], 2)
        for pair in _pairs(one, other)
    ]
    return tuple(sorted(found, key=lambda pair: pair.relation))


def _pairs(one: tuple[str, AttackSettings], other: tuple[str, AttackSettings]) -> Iterator[Improvement]:
    (label, a), (over, b) = one, other
    if any(isinstance(each, PartialBlackBoxSettings) and each.substitute for each in (a, b)):
        return
    if (
        isinstance(a, PartialBlackBoxSettings)
        and isinstance(b, FidelitySettings)
        and _alike(a, b, TrainingSettings)
    ):
        yield Improvement("R4", label, over, "reference")
    if (
        isinstance(a, WhiteBoxSettings)
        and isinstance(b, PartialBlackBoxSettings)
        and _alike(a, b, RealImagesSettings)
    ):
        yield Improvement("R5", label, over, "reference")
    moved = isinstance(a, TransferSettings) and a.method != "scratch"
    if moved and isinstance(b, TransferSettings) and b.method == "scratch" and _alike(a, b, TransferSettings):
        yield Improvement("R6", label, over, "domain")


def _alike(a: AttackSettings, b: AttackSettings, of: type[TrainingSettings]) -> bool:
    """Whether both have the same values of the settings of that type, but for those that the pair is
    about."""
    fields = set(of.model_fields) - {
        "kind",
        "query_budget",
        "checkpoint_every",
        "method",
        "frozen",
        "substitute",
    }
    return a.model_dump(include=fields) == b.model_dump(include=fields)
