"""A density ratio from D's penultimate features: logistic regression with an L2 penalty.

The last layer of D was trained against the latest images of G, and orders images by what fooled it last. A
new head on the same features orders them by how real they are. Cross-validation chooses the penalty.
"""

from torch import Tensor

from ganguard.attacks.subsampling.calibration import logistic_regression
from ganguard.attacks.subsampling.density_ratio import LogRatio, RatioKind

FOLDS = 5


def fit_feature_head(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """Fit log r as a linear function of D's features (N, F).

    The folds follow the order of the rows, so `seed` is not used.
    """
    return logistic_regression(real, fake, folds=min(FOLDS, len(real), len(fake)))


FEATURE_HEAD = RatioKind("features", fit_feature_head)
