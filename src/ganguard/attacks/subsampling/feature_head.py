"""A density ratio from D's penultimate features: regularised logistic regression, its strength chosen by
cross-validation.

D's last layer orders images by what fooled it last; a fresh head on the same features orders them by how real
they are.
"""

from torch import Tensor

from ganguard.attacks.subsampling.calibration import logistic_regression
from ganguard.attacks.subsampling.density_ratio import LogRatio, RatioKind

FOLDS = 5


def fit_feature_head(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """log r linear in D's features (N, F). Folds are in the order of the rows: seed is not used."""
    return logistic_regression(real, fake, folds=min(FOLDS, len(real), len(fake)))


FEATURE_HEAD = RatioKind("features", fit_feature_head)
