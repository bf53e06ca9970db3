"""Density ratios from a new network on D's features, or on any rows (Ding et al. 2020, "Subsampling
Generative Adversarial Networks: Density Ratio Estimation in Feature Space with Softplus Loss", IEEE TSP).

There are two losses:

    softplus   L = E_g[sigmoid(r) r - softplus(r)] - E_r[sigmoid(r)] + lambda (E_g[r] - 1)²,  r >= 0  (eq. 14)
    logistic   L = E_r[softplus(-l)] + E_g[softplus(l)],  l = log r   (a classifier, whose odds are the ratio)

Their network minimises the first: five layers with GroupNorm, ReLU and dropout. A network of three plain
layers minimises the second; it is calibrated without further work.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from ganguard.attacks.subsampling.density_ratio import LogRatio, RatioKind
from ganguard.base.errors import StepError
from ganguard.base.seeds import torch_generator

WIDTHS = (256, 128, 64, 32, 16)  # an eighth of the published 2048 ... 128
GROUPS = 4
DROPOUT = 0.2
BATCH = 512  # rows of each kind in one update
LEARNING_RATE = 1e-3
EPOCHS = 80  # passes over the larger set
FEWEST_UPDATES = 1000  # however small the sets are
PLAIN_WIDTHS = (256, 256, 256)
PENALTY = 0.1  # lambda, for a mean ratio over generated images other than 1
LEAST_RATIO = 1e-6  # smaller ratios count as this one, so that log r stays finite

Loss = Callable[[Tensor, Tensor], Tensor]


def softplus_loss(real: Tensor, fake: Tensor, *, penalty: float = PENALTY) -> Tensor:
    """Return the softplus loss (eq. 14) of outputs r >= 0 for real (m,) and generated (n,) rows."""
    divergence = (torch.sigmoid(fake) * fake - F.softplus(fake)).mean() - torch.sigmoid(real).mean()
    return divergence + penalty * (fake.mean() - 1).square()


def logistic_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Return the logistic loss of outputs log r for real (m,) and generated (n,) rows."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def ratio_network(features: int, widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """Build the network of Ding et al., (N, features) -> (N, 1), untrained."""
    layers: list[nn.Module] = []
    for wide, narrow in zip((features, *widths), widths, strict=False):
        layers += [nn.Linear(wide, narrow), nn.GroupNorm(GROUPS, narrow), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 1))


def plain_network(features: int) -> nn.Sequential:
    """Build a network of linear layers and ReLU, (N, features) -> (N, 1), untrained."""
    layers: list[nn.Module] = []
    for wide, narrow in zip((features, *PLAIN_WIDTHS), PLAIN_WIDTHS, strict=False):
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(PLAIN_WIDTHS[-1], 1))


def fit_ratio_network(
    real: Tensor,
    fake: Tensor,
    *,
    seed: int,
    loss: Loss,
    output: Callable[[Tensor], Tensor],
    log_ratio: Callable[[Tensor], Tensor],
    build: Callable[[int], nn.Module],
    updates: int | None = None,
) -> LogRatio:
    """Train a network on rows real (m, F) and fake (n, F), standardised by both together.

    Args:
        real: rows (m, F) of real images.
        fake: rows (n, F) of generated images.
        seed: seed of the weights, of dropout and of the batches.
        loss: of the outputs for real and for generated rows.
        output: from the network's last layer (N,) to the output that the loss takes.
        log_ratio: from that output (N,) to log r (N,).
        build: from the number of features to an untrained network.
        updates: updates of the weights; None takes 80 epochs, and at least 1,000 updates.

    Raises StepError if the last loss is not finite.
    """
    mean, std = _scale(torch.cat([real, fake]))
    generator = torch_generator(seed, "ratio_network")
    updates = updates or max(FEWEST_UPDATES, EPOCHS * max(len(real), len(fake)) // BATCH)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())  # initial weights and dropout draw from the global stream
        network = build(real.shape[1])
        rows = [((part - mean) / std).float() for part in (real, fake)]
        _train(network, rows, loss, output, updates, generator)
    network.eval()

    @torch.inference_mode()
    def fitted(x: Tensor) -> Tensor:
        parts = ((x.double() - mean) / std).float().split(1 << 14)
        return torch.cat([log_ratio(output(network(part)[:, 0])).double() for part in parts])

    return fitted


def _scale(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation (F,) of rows (N, F).

    A feature that never varies here gets an infinite deviation: it tells nothing, even if it varies later.
    """
    low, high = rows.aminmax(dim=0)
    return rows.mean(0), rows.std(0).masked_fill(low == high, math.inf)


def _train(
    network: nn.Module,
    rows: list[Tensor],
    loss: Loss,
    output: Callable[[Tensor], Tensor],
    updates: int,
    generator: torch.Generator,
) -> None:
    """Minimise the loss on random batches of rows [real (m, F), fake (n, F)]: Adam, cosine schedule."""
    optimizer = Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    value = torch.zeros(())
    for _ in range(updates):
        batch = [
            part[torch.randint(len(part), (min(BATCH, len(part)),), generator=generator)] for part in rows
        ]
        outputs = output(network(torch.cat(batch))[:, 0])
        value = loss(*outputs.split([len(part) for part in batch]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    if not math.isfinite(value.item()):
        raise StepError(
            f"the density ratio's network diverged: its loss is {value.item()}. Choose another density ratio."
        )


def _log_of_ratio(r: Tensor) -> Tensor:
    return r.clamp_min(LEAST_RATIO).log()


def _identity(values: Tensor) -> Tensor:
    return values


fit_softplus_dre = partial(
    fit_ratio_network, loss=softplus_loss, output=F.relu, log_ratio=_log_of_ratio, build=ratio_network
)
fit_logistic_dre = partial(
    fit_ratio_network, loss=logistic_loss, output=_identity, log_ratio=_identity, build=plain_network
)
SOFTPLUS_DRE = RatioKind("features", fit_softplus_dre)
LOGISTIC_DRE = RatioKind("features", fit_logistic_dre)
