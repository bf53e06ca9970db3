"""What a spec says of the network by which an adversary's own judge compares images."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, SerializeAsAny

from ganguard.attacks.protocol import Needs
from ganguard.metrics.features.network import FeatureSettings, parse_features, pinned
from ganguard.metrics.features.random_network import RandomNetwork

JUDGE_OF_ALL = RandomNetwork(seed=2)
"""Of an adversary that cannot train a network: anybody can make this one. Noise that misleads networks has
another seed, and a spec whose grader has this one is refused."""
NOTHING_TO_JUDGE = (
    "judge_features is of adversaries that judge by real images (accuracy_partial_black_box, "
    "accuracy_white_box), and there is none. Leave it out; `strongest` judges by its own purchase, with a "
    "network that is fixed"
)
Judge = FeatureSettings | Literal["own", "audit"]


def _judge(value: object) -> Judge:
    if value == "own":
        return "own"
    return "audit" if value == "audit" else parse_features(value)


JudgeField = Annotated[SerializeAsAny[FeatureSettings] | Literal["own", "audit"], BeforeValidator(_judge)]
"""A field that names the network: "own" is made from the adversary's real images alone, "audit" is the
grader's."""


def require_judge(judge: Judge, grader: FeatureSettings, attacks: Sequence[Needs]) -> None:
    """Raise ValueError if a judge's network has nothing to judge, or may be the one that grades.

    Args:
        judge: `judge_features` of a spec.
        grader: its `features`.
        attacks: what each of its attacks needs.
    """
    if judge != "own" and not any(each.real_fraction is not None and not each.unjudged for each in attacks):
        raise ValueError(NOTHING_TO_JUDGE)
    judging = any(each.judging for each in attacks)
    own = judge == "own" and any(each.real_fraction for each in attacks)
    if (judging or own) and grader == JUDGE_OF_ALL:
        raise ValueError(
            "features: adversaries judge by the random_network of seed 2, which must not grade them, too. "
            "Set another seed"
        )


def learns_classes(judge: Judge) -> bool:
    """Return whether the network learns the classes of the real images that an adversary holds, and cannot do
    without. "own" can."""
    return not isinstance(judge, str) and judge.kind == "classifier"


def pinned_judge(judge: Judge) -> Judge:
    """Return the network with the digest of the files that it names, if it names any."""
    return judge if isinstance(judge, str) else pinned(judge)
