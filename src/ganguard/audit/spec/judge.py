"""What a spec says of the network by which an adversary's own judge compares images."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, SerializeAsAny

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


def learns_classes(judge: Judge) -> bool:
    """Return whether the network learns the classes of the real images that an adversary holds, and cannot do
    without. "own" can."""
    return not isinstance(judge, str) and judge.kind == "classifier"


def pinned_judge(judge: Judge) -> Judge:
    """Return the network with the digest of the files that it names, if it names any."""
    return judge if isinstance(judge, str) else pinned(judge)
