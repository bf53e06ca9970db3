"""What subsampling did in white-box attacks, as records in results.json."""

from itertools import pairwise
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from ganguard.base.settings import NonNegative, Number, Positive, Rows, Settings
from ganguard.results.whose import WhoseCopy

ROUNDING = 1e-9  # by which rounding may raise a share above 1


def _share(value: object) -> object:
    return 1.0 if isinstance(value, float) and 1 < value <= 1 + ROUNDING else value


Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_share)]


class ReliabilityBin(Settings):
    """The images in one bin of predicted probability.

    Attributes:
        predicted: their mean predicted probability of being real.
        observed: the share of them that is real.
        count: how many they are.
    """

    predicted: Share
    observed: Share
    count: NonNegative


class RatioRecord(Settings):
    """How a density ratio did on real and generated images that it was not fitted to.

    Attributes:
        kind: its name.
        auc: how often a real image's ratio is above a generated one's; 0.5 separates nothing.
        calibration_z: standard normal if its probabilities are calibrated.
        reliability: by ascending prediction.
        effective_sample_size: of the generated images weighted by their ratios, as a share of them.
        real, fake: how many images of each.
    """

    kind: str
    auc: Share
    calibration_z: Number
    reliability: Rows[ReliabilityBin]
    effective_sample_size: Share
    real: Positive
    fake: Positive


class Tried(Settings):
    """The set of images that one power of the ratio gave.

    Attributes:
        score: the judge's score of it; lower is better.
        distinct: images in it, each counted once.
        acceptance_rate: moves divided by proposals; 1 for the power 0, which runs no chains.
        never_moved: chains that stayed at their real image; 0 for the power 0.
        proposals: in all chains together.
    """

    power: Share
    score: Number
    distinct: NonNegative
    acceptance_rate: Share
    never_moved: NonNegative
    proposals: NonNegative


class PlainRecord(RatioRecord):
    """Algorithm 1 untempered: the logistic ratio, fitted to half of X_r, to the power 1.

    Attributes:
        tried: what it gave; None if its chains were stuck.
    """

    tried: Tried | None


class Histogram(Settings):
    """How many images have which logarithm of the ratio.

    Attributes:
        edges: of the bins, ascending, one more than there are bins.
        before: images bought, in each bin.
        after: images kept, with repeats, in each bin.
    """

    edges: Annotated[Rows[Number], Field(min_length=2)]
    before: Rows[NonNegative]
    after: Rows[NonNegative]

    @model_validator(mode="after")
    def _fits(self) -> "Histogram":
        sizes = len(self.edges), len(self.before) + 1, len(self.after) + 1
        if len(set(sizes)) > 1 or any(low > high for low, high in pairwise(self.edges)):
            raise ValueError("must have ascending edges, one more than it has bins before and after")
        return self


class ClassCounts(Settings):
    """Images by class, as the feature network sees them.

    Attributes:
        before: of the bought set.
        after: of the kept set, with repeats.
        plain: of what Algorithm 1 would keep, with repeats; empty if its chains were stuck.
    """

    before: Annotated[Rows[NonNegative], Field(min_length=1)]
    after: Rows[NonNegative]
    plain: Rows[NonNegative]

    @model_validator(mode="after")
    def _fits(self) -> "ClassCounts":
        if len(self.after) != len(self.before) or len(self.plain) not in (0, len(self.before)):
            raise ValueError("must count the same classes of each set")
        return self


class Trial(Settings):
    """What a white-box attack tried and chose.

    Attributes:
        tried: by ascending power.
        stuck: powers whose chains never left their real images, and why.
        chosen: the power of the set that the substitute was trained on; 0 refined nothing.
    """

    ratio: RatioRecord
    tried: Annotated[Rows[Tried], Field(min_length=1)]
    stuck: dict[Share, str]
    chosen: Share
    plain: PlainRecord
    log_ratios: Histogram

    @model_validator(mode="after")
    def _chosen_was_tried(self) -> "Trial":
        if all(tried.power != self.chosen for tried in self.tried):
            raise ValueError(f"the power chosen, {self.chosen:g}, must be among those tried")
        return self

    @property
    def best(self) -> Tried:
        """The set that the chosen power gave."""
        return next(tried for tried in self.tried if tried.power == self.chosen)


class RefinementRecord(Trial, WhoseCopy):
    """A trial of one copy's adversary.

    Attributes:
        classes: what refining did to the balance of classes; None if the feature network knows no classes.
    """

    classes: ClassCounts | None
