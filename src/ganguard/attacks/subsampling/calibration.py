"""Density ratios from D's raw score alone: the odds of a calibrated probability of being real.

The score s is used unchanged. The D of a hinge or Wasserstein GAN has no sigmoid, and clipping its score to
[0, 1] would destroy almost all of the information in it.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ganguard.attacks.subsampling.density_ratio import LogRatio, RatioKind

STRENGTHS = 7  # L2 penalties that a cross-validation tries


def fit_logistic(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """Fit log r = a s + b, with C = LogisticRegression (Hu & Pang 2021, Algorithm 1).

    The fit is unique, so `seed` is not used.
    """
    return logistic_regression(real, fake)


def fit_beta(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """Fit log r = a log p - b log(1 - p) + c, p = sigmoid(s) (Kull et al. 2017, "Beta calibration", eq. 5).

    As in Turner et al.'s code, a and b may be negative, which Kull et al. rule out: if D orders the images
    wrongly, r may fall as s rises. `seed` is not used.
    """

    def logarithms(s: Tensor) -> Tensor:
        return torch.cat([F.logsigmoid(s), -F.logsigmoid(-s)], 1)

    fitted = logistic_regression(logarithms(real), logarithms(fake))
    return lambda s: fitted(logarithms(s))


def fit_isotonic(real: Tensor, fake: Tensor, *, seed: int) -> LogRatio:
    """Fit log r as the best non-decreasing function of s (Zadrozny & Elkan 2002).

    At either end all images may be of one kind, and the odds there would be 0 or infinite. So half an image
    of the other kind is added at each end. `seed` is not used.
    """
    from sklearn.isotonic import IsotonicRegression

    s, y = _labelled(real, fake)
    fit = IsotonicRegression(out_of_bounds="clip").fit(s[:, 0], y)
    p = fit.predict(s[:, 0])
    # Each end moves no further than to the next level: the function must not fall.
    least = min([0.5 / (1 + np.count_nonzero(p <= p.min())), *p[p > 0]])
    most = max([1 - 0.5 / (1 + np.count_nonzero(p >= p.max())), *p[p < 1]])
    prior = math.log(len(real) / len(fake))

    def log_ratio(x: Tensor) -> Tensor:
        predicted = np.clip(fit.predict(x[:, 0].double().numpy()), least, most)
        return torch.from_numpy(np.log(predicted) - np.log1p(-predicted)) - prior

    return log_ratio


def logistic_regression(real: Tensor, fake: Tensor, *, folds: int = 0) -> LogRatio:
    """Fit log r as a linear function of standardised rows (N, F).

    Args:
        real: rows (m, F) of real images.
        fake: rows (n, F) of generated images.
        folds: folds of the cross-validation that chooses the strength of the L2 penalty by log loss. 0 takes
            scikit-learn's default strength, which hardly matters with few features.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = _labelled(real, fake)
    # newton-cholesky copes with features that nearly repeat each other
    solver = "newton-cholesky" if folds else "lbfgs"
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
    """Return the mean log probability of the true kind, both kinds weighing the same, as in the fit."""
    # From log-odds, not from probabilities: if one is 1 to the last bit, the other's logarithm stays finite.
    log_odds = model.decision_function(x)
    log_p = -np.logaddexp(0, np.where(y == 1, -log_odds, log_odds))
    return float(np.mean([log_p[y == kind].mean() for kind in (0, 1)]))


def _labelled(real: Tensor, fake: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows (m + n, F), the real ones first, and their labels (m + n,): 1 is real, 0 generated."""
    return torch.cat([real, fake]).double().numpy(), np.repeat([1, 0], [len(real), len(fake)])


LOGISTIC = RatioKind("scores", fit_logistic)
ISOTONIC = RatioKind("scores", fit_isotonic)
BETA = RatioKind("scores", fit_beta)
