"""The network of features, chosen if a spec asks for one that is pretrained."""

from typing import Any, ClassVar, cast

from pydantic import model_validator

from ganguard.audit.spec.judge import JudgeField
from ganguard.base.settings import Sparse
from ganguard.metrics.features import pretrained
from ganguard.metrics.features.network import FeatureField


class ChosenFeatures(Sparse):
    """The part of a spec that names the feature network.

    Attributes:
        features: the network whose features are compared; "pretrained" chooses one that is installed.
        features_chosen: the kind that was chosen for "pretrained"; empty if the spec names its network.
        judge_features: the network of the judges of adversaries that hold real images.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"judge_features"})
    features: FeatureField
    features_chosen: str = ""
    judge_features: JudgeField = "own"

    @model_validator(mode="before")
    @classmethod
    def _chosen(cls, values: Any) -> Any:
        """Name the network that is chosen for "pretrained", so that what is written of the spec holds it."""
        if not isinstance(values, dict) or cast(dict[str, Any], values).get("features") != pretrained.WORD:
            return values
        kind = pretrained.choose()
        return {**cast(dict[str, Any], values), "features": kind, "features_chosen": kind}
