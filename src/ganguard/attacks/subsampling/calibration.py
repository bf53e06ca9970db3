"""Density ratios from D's raw score alone: a calibrated probability of being real, as odds.

The score s is that of D as it is: a hinge or Wasserstein D has no sigmoid, and clipping its score to [0, 1]
would leave almost nothing of it.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.attacks.subsampling.density_ratio import LogRatio, RatioKind

STRENGTHS = 7  # of the penalty that a cross-validation tries


def fit_logistic(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """log r = a s + b, C = LogisticRegression (Hu & Pang 2021, Algorithm 1). The fit is unique: seed is not
    used."""
    return logistic_regression(real, fake)


def fit_beta(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """log r = a log p - b log(1 - p) + c, p = sigmoid(s) (Kull et al. 2017, "Beta calibration", eq. 5). seed
    is not used.

    As in Turner et al.'s code, a and b may be negative, which Kull et al. rule out: where D's order of images
    misleads, r may fall as s rises."""

    def logarithms(s: Tensor) -> Tensor:
        return torch.cat([F.logsigmoid(s), -F.logsigmoid(-s)], 1)

    fitted = logistic_regression(logarithms(real), logarithms(fake))
    return lambda s: fitted(logarithms(s))


def fit_isotonic(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """log r is the best rising function of s (Zadrozny & Elkan 2002). At its ends, where all images are of
    one kind, odds would be 0 or infinite; half an image of the other kind is counted there. seed is not
    used."""
    from sklearn.isotonic import IsotonicRegression

    s, y = _labelled(real, fake)
    fit = IsotonicRegression(out_of_bounds="clip").fit(s[:, 0], y)
    p = fit.predict(s[:, 0])  # the ends are moved no further than to the next level
    least = min([0.5 / (1 + np.count_nonzero(p <= p.min())), *p[p > 0]])
    most = max([1 - 0.5 / (1 + np.count_nonzero(p >= p.max())), *p[p < 1]])
    prior = math.log(len(real) / len(fake))

    def log_ratio(x: Tensor) -> Tensor:
        predicted = np.clip(fit.predict(x[:, 0].double().numpy()), least, most)
        return torch.from_numpy(np.log(predicted) - np.log1p(-predicted)) - prior

    return log_ratio


def logistic_regression(real: Tensor, fake: Tensor, *, folds: int = 0) -> LogRatio:
    """log r linear in standardised rows. folds: of a cross-validation that chooses the strength of the L2
    penalty by log loss; 0 takes scikit-learn's, which is next to none for a few features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = _labelled(real, fake)
    solver = (
        "newton-cholesky" if folds else "lbfgs"
    )  # the former does not mind features that nearly repeat each other
    model = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000, solver=solver)
    )
    if folds:
        strengths = {"logisticregression__C": np.logspace(-4, 2, STRENGTHS)}
        model = GridSearchCV(model, strengths, scoring=_balanced_log_likelihood, cv=folds)
    fitted = model.fit(x, y)

    def log_ratio(rows: Tensor) -> Tensor:
        return torch.from_numpy(np.asarray(fitted.decision_function(rows.double().numpy())))

    return log_ratio


def _balanced_log_likelihood(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """Mean log probability of the right kind, each kind counting as much as the other, as in the fit. Of
    log-odds: where a probability is 1 to the last bit, the logarithm of the other is still a number."""
    log_odds = model.decision_function(x)
    log_p = -np.logaddexp(0, np.where(y == 1, -log_odds, log_odds))
    return float(np.mean([log_p[y == kind].mean() for kind in (0, 1)]))


def _labelled(real: Tensor, fake: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return torch.cat([real, fake]).double().numpy(), np.repeat([1, 0], [len(real), len(fake)])


LOGISTIC = RatioKind("scores", fit_logistic)
ISOTONIC = RatioKind("scores", fit_isotonic)
BETA = RatioKind("scores", fit_beta)
