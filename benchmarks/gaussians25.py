"""Compare every sampler and density ratio where the truth is known: 25 Gaussians and an undertrained GAN.

    python benchmarks/gaussians25.py [--full] [--rounds 3]

The set-up is that of Ding et al. (2020, "Subsampling Generative Adversarial Networks", Simulation): modes on
{-2 ... 2}², sigma 0.05, 50,000 points for training and 50,000 for validation; G and D have three hidden
layers of 100 and train for 50 epochs. Each method keeps 10,000 samples. MH runs 100 steps on a stream of
fresh images.

A sample is of high quality if it lies within 4 sigma of a mode. A mode is recovered if a sample of high
quality lies at it. The last column counts the modes that are nearest to any sample, because others print
that number.

The network of the softplus ratio has an eighth of the published width, that of the logistic ratio three plain
layers of 256; both train for 80 epochs. With --full both are the published network, trained for 400 epochs.

Published for rejection sampling with the softplus ratio, 1,000 epochs, one round, by lambda 0, 0.1, 1, 5, 10:
99.5, 99.5, 94.0, 82.5, 83.1 % of high quality (comments in experiment.sh of
github.com/UBCDingXin/DDRE_Sampling_GANs). The other numbers are published only as a figure.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from ganguard.attacks.subsampling import discriminator_rejection, importance_resampling, metropolis_hastings
from ganguard.attacks.subsampling.density_ratio import RATIOS, JudgedRatio, fit_density_ratio
from ganguard.attacks.subsampling.ratio_network import fit_logistic_dre, fit_softplus_dre, ratio_network
from ganguard.base.seeds import torch_generator

MODES = torch.cartesian_prod(*[torch.arange(-2.0, 3.0)] * 2)
SIGMA = 0.05
POINTS, KEPT, STARTS = 50_000, 10_000, 10_000
EPOCHS, BATCH, WIDTH = 50, 512, 100
STEPS = 100  # K
PUBLISHED_WIDTHS = (2048, 1024, 512, 256, 128)


def mixture(count: int, generator: torch.Generator) -> Tensor:
    """Draw points (count, 2) from the 25 Gaussians."""
    modes = torch.randint(len(MODES), (count,), generator=generator)
    return MODES[modes] + SIGMA * torch.randn(count, 2, generator=generator)


def layers(last: int) -> nn.Sequential:
    """Build a network of three hidden layers, (N, 2) -> (N, last)."""
    hidden: list[nn.Module] = []
    for width in (2, WIDTH, WIDTH):
        hidden += [nn.Linear(width, WIDTH), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(WIDTH, last))


def train(points: Tensor, seed: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Train G and D by binary cross-entropy. G is updated before D, on the same fakes."""
    torch.manual_seed(seed)
    G, D = layers(2), layers(1)
    of_g, of_d = (Adam(net.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True) for net in (G, D))
    for _ in range(EPOCHS):
        for real in points[torch.randperm(len(points))].split(BATCH):
            fake = G(torch.randn(len(real), 2))
            of_g.zero_grad()
            F.softplus(-D(fake)).mean().backward()
            of_g.step()
            of_d.zero_grad()
            (F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()).backward()
            of_d.step()
    return G.eval(), D.eval()


class Stream:
    """Draws fresh images from G, with their log ratios."""

    def __init__(self, G: nn.Module, log_ratio: Callable[[Tensor], Tensor], seed: int) -> None:
        self.G, self.log_ratio, self.generator = G, log_ratio, torch_generator(seed, "stream")

    @torch.inference_mode()
    def __call__(self, n: int, /) -> tuple[Tensor, Tensor]:
        x = self.G(torch.randn(n, 2, generator=self.generator))
        return x, self.log_ratio(x)


def quality(x: Tensor) -> tuple[float, int, int]:
    """Return the % of high quality, the modes recovered, and the modes that are nearest to any sample."""
    distances, nearest = torch.cdist(x, MODES).min(1)
    good = distances < 4 * SIGMA
    return 100 * good.double().mean().item(), len(nearest[good].unique()), len(nearest.unique())


def ratios(
    D: nn.Sequential, real: Tensor, fake: Tensor, seed: int, full: bool
) -> dict[str, tuple[JudgedRatio | None, Callable[[Tensor], Tensor]]]:
    """Fit each ratio. Returns its diagnosis, if there is one, and log r as a function of points (N, 2)."""

    def penultimate(x: Tensor) -> Tensor:
        return D[:-1](x)

    reads: dict[str, Callable[[Tensor], Tensor]] = {"feature_head": penultimate}
    reads |= dict.fromkeys(("logistic", "isotonic", "beta"), D)
    found: dict[str, tuple[JudgedRatio | None, Callable[[Tensor], Tensor]]] = {}
    for kind in RATIOS.builtin:
        read = reads.get(kind, lambda x: x)
        begun = time.monotonic()
        with torch.no_grad():
            a, b = read(real), read(fake)
        if full and kind.endswith("_dre"):
            fit = fit_softplus_dre if kind == "softplus_dre" else fit_logistic_dre
            network = partial(ratio_network, widths=PUBLISHED_WIDTHS)
            log_ratio = fit(a.double(), b.double(), seed=seed, build=network, updates=400 * POINTS // BATCH)
            found[kind] = None, partial(_composed, log_ratio, read)
        else:
            judged = fit_density_ratio(kind, a, b, seed=seed)
            found[kind] = judged, partial(_composed, judged.log_ratio, read)
        print(f"  {kind}: fitted in {time.monotonic() - begun:.0f} s", flush=True)
    return found


def _composed(log_ratio: Callable[[Tensor], Tensor], read: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return log_ratio(read(x))


def one_round(seed: int, full: bool) -> dict[str, tuple[float, int, int]]:
    """Train the GAN and return the quality of each method's samples, by method."""
    generator = torch_generator(seed, "gaussians25")
    points, validation, starts = (mixture(count, generator) for count in (POINTS, POINTS, STARTS))
    begun = time.monotonic()
    G, D = train(points, seed)
    print(f"  GAN: trained in {time.monotonic() - begun:.0f} s", flush=True)
    fakes = Stream(G, lambda x: x[:, 0], seed)(POINTS)[0]
    rows = {"none": quality(Stream(G, lambda x: x[:, 0], seed + 1)(KEPT)[0])}
    for kind, (judged, log_ratio) in ratios(D, validation, fakes, seed, full).items():
        if judged is not None:
            d = judged.diagnosis
            print(
                f"    AUC {d.auc:.3f}, Z {d.calibration_z:+.1f}, effective sample size "
                f"{d.effective_sample_size:.0%}",
                flush=True,
            )
        with torch.inference_mode():
            real = log_ratio(starts)
        chains = metropolis_hastings(real, Stream(G, log_ratio, seed + 2), count=KEPT, steps=STEPS, seed=seed)
        rows[f"MH, {kind}"] = quality(chains.handles)
        rows[f"DRS, {kind}"] = quality(
            discriminator_rejection(Stream(G, log_ratio, seed + 3), count=KEPT, seed=seed).handles
        )
        pool = Stream(G, log_ratio, seed + 4)
        rows[f"SIR, {kind}"] = quality(
            importance_resampling(pool, count=KEPT, pool=10 * KEPT, seed=seed).handles
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--full", action="store_true", help="ratio networks of the published width, 400 epochs: hours"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # networks this small thread badly
    begun = time.monotonic()
    rounds: list[dict[str, tuple[float, int, int]]] = []
    for seed in range(arguments.rounds):
        print(f"round {seed + 1} of {arguments.rounds}", flush=True)
        rounds.append(one_round(seed, arguments.full))
    print(f"\n{'':24} {'% high quality':>22} {'modes recovered':>16} {'nearest to any':>15}")
    for name in rounds[0]:
        good, modes, nearest = zip(*(found[name] for found in rounds), strict=True)
        spread = f"{statistics.mean(good):.1f} ({min(good):.1f} to {max(good):.1f})"
        print(f"{name:24} {spread:>22} {' '.join(map(str, modes)):>16} {' '.join(map(str, nearest)):>15}")
    print(f"{time.monotonic() - begun:.0f} s, one thread, torch {torch.__version__}")


if __name__ == "__main__":
    main()
