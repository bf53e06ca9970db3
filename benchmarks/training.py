"""The speed of training beside the code that people train with: real images that D, or a flow, sees a second.

    git clone https://github.com/kwotsin/mimicry MIMICRY
    git clone https://github.com/facebookresearch/pytorch_GAN_zoo ZOO
    git clone https://github.com/cloneofsimo/minRF MINRF
    python benchmarks/training.py [--mimicry MIMICRY] [--zoo ZOO] [--minrf MINRF] [--variants float32 bf16] …

Both sides have the same networks, batch and updates of D, on one machine in one run, in turns: a round is one
training of ours of so many steps, and as many steps of the peer. SNGAN-32 in the published widths (batches of
64, five updates of D to one of G) is compared with mimicry's networks and its own `train_step`s; PGGAN-64
(batches of 16, WGAN-GP) with pytorch_GAN_zoo's `optimizeParameters`. The flow of 8x8 digits (width 16,
batches of 64) is compared with minRF's rectified flow and Adam, around our network, and around the
transformer that minRF trains on digits, which is another network: the operations printed below say by how
much. Take `--steps 100` for the flow alone.

Our time is that of `train_generator` from its first step to its last, including batches and the average of
weights. The peers are given ready batches of floats, and write no logs. Only a peer's networks and steps are
imported, without the packages around them, which need torchvision.

Ours lays channels last in memory. A peer is measured as it comes, and mimicry with channels last as well,
which pytorch_GAN_zoo's networks do not support. Each line has the images a second of ours (the median round)
and of the peer, and their ratio by the wall clock and by processor time (which other work on the machine
affects less). Below it stands the time that a step of ours takes, beside the floor: its floating point
operations alone at the speed that a matrix product reaches here.
"""

import argparse
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganguard.architectures.flow import Flow
from ganguard.base.compute import Compute, cores
from ganguard.base.images import to_float
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

Seconds = tuple[float, float]  # by the wall clock, of the processor
Step = Callable[[], object]


@dataclass(frozen=True)
class Variant:
    """A way to train ours, printed as one line for each network and peer.

    Attributes:
        name: as printed.
        training: training settings beside the networks.
        compute: compute settings.
    """

    name: str
    training: dict[str, Any] = field(default_factory=dict)
    compute: dict[str, Any] = field(default_factory=dict)


VARIANTS = {
    "float32": Variant("float32"),
    "bf16": Variant("bf16", {"precision": "bf16-mixed"}),
}
LAST = ", channels last"
OURS = ", our network"
FLOW = Flow(width=16)


@dataclass(frozen=True)
class Case:
    """A training to compare.

    Attributes:
        n_dis: updates of D to one of G.
        settings: settings of our training.
        peer: takes a clone's folder, one of `ways`, and a source of float batches; returns a step of the
            peer's training.
        ways: variants of the peer, as printed.
        channels: of the images.
    """

    name: str
    side: int
    batch: int
    n_dis: int
    settings: dict[str, Any]
    peer_name: str
    peer: Callable[[Path, str, Callable[[], Tensor]], Step]
    ways: tuple[str, ...]
    channels: int = 3

    @property
    def images(self) -> int:
        """The number of real images that D sees in a step of G."""
        return self.batch * self.n_dis


def packages(root: Path, *names: str) -> None:
    """Make the folders of a clone importable as packages, without the imports of their own __init__."""
    for name in names:
        package = ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package


class NoLog:
    """A log that discards mimicry's losses."""

    def add_metric(self, name: str, value: object, group: str | None = None) -> None:
        pass


def mimicry(clone: Path, way: str, batch: Callable[[], Tensor]) -> Step:
    """Return a step as mimicry's Trainer takes it: five updates of D, and one of G."""
    below = ("nets", "nets.sngan", "nets.gan", "nets.basemodel")
    packages(clone / "torch_mimicry", "torch_mimicry", *(f"torch_mimicry.{name}" for name in below))
    networks: Any = import_module("torch_mimicry.nets.sngan.sngan_32")
    G, D = networks.SNGANGenerator32(), networks.SNGANDiscriminator32()
    if way == LAST:
        G, D = (network.to(memory_format=torch.channels_last) for network in (G, D))
    optimizers = [torch.optim.Adam(network.parameters(), 2e-4, betas=(0.0, 0.9)) for network in (G, D)]

    def step() -> None:
        for _ in range(5):
            real = batch(), torch.zeros(64)
            D.train_step(
                real_batch=real, netG=G, optD=optimizers[1], log_data=NoLog(), device=torch.device("cpu")
            )
        G.train_step(
            real_batch=real, netD=D, optG=optimizers[0], log_data=NoLog(), device=torch.device("cpu")
        )

    return step


def zoo(clone: Path, way: str, batch: Callable[[], Tensor]) -> Step:
    """Return a step of pytorch_GAN_zoo's PGGAN, grown to 64 pixels, in the configuration that it ships.

    Its optimisers are created here with equal settings: it gives their first beta as the whole number 0,
    which torch now refuses.
    """
    packages(clone / "models", "zoo_models")
    made: Any = import_module("zoo_models.progressive_gan")

    def adam(network: torch.nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), 1e-3, betas=(0.0, 0.99))

    made.ProgressiveGAN.getOptimizerD = lambda gan: adam(gan.netD)
    made.ProgressiveGAN.getOptimizerG = lambda gan: adam(gan.netG)
    shipped: Any = import_module("zoo_models.trainer.standard_configurations.pgan_config")
    said = vars(shipped._C)
    gan = made.ProgressiveGAN(useGPU=False, depthScale0=said["depthScales"][0], **said)
    for depth in said["depthScales"][1:5]:  # 8, 16, 32 and 64 pixels
        gan.addScale(depth)
    return lambda: gan.optimizeParameters(batch())


def minrf(clone: Path, way: str, batch: Callable[[], Tensor]) -> Step:
    """Return a step as minRF's script takes it, which logs no losses here, and has no average of weights."""
    flow: Any = source(clone / "rf.py")
    if way == OURS:
        G: Any = FLOW.build((1, 8, 8)).generator
        model, parameters = lambda x, t, y: G.velocity(x, t), G.parameters()
    else:  # as for MNIST, but of 8x8 pixels; to drop labels, it would call a GPU
        said = {"dim": 64, "n_layers": 6, "n_heads": 4, "num_classes": 10, "class_dropout_prob": 0}
        model = source(clone / "dit.py").DiT_Llama(1, 8, **said)
        parameters = model.parameters()
    learns, labels = flow.RF(model), torch.arange(64) % 10
    optimizer = torch.optim.Adam(parameters, 5e-4)

    def step() -> None:
        optimizer.zero_grad()
        learns.forward(batch(), labels)[0].backward()
        optimizer.step()

    return step


def source(file: Path) -> ModuleType:
    """Import a module from its file."""
    spec = spec_from_file_location(f"peer_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{file}: not a module of Python")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CASES = (
    Case(
        "SNGAN-32",
        32,
        64,
        5,
        {"architecture": {"kind": "sngan", "width_factor": 1}, "ema_decay": 0},
        "mimicry",
        mimicry,
        ("", LAST),
    ),
    Case("PGGAN-64", 64, 16, 1, {"architecture": "pggan", "grow": False}, "pytorch_GAN_zoo", zoo, ("",)),
    Case(
        "flow-8",
        8,
        64,
        1,
        {"architecture": FLOW.model_dump(), "channels_last": False},
        "minRF",
        minrf,
        (OURS, ", its transformer"),
        channels=1,
    ),
)


def taken(work: Step) -> Seconds:
    """Return how long some work takes."""
    begun = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun[0], time.process_time() - begun[1]


def ours(case: Case, variant: Variant, images: Tensor, steps: int, threads: int) -> Seconds:
    """Return how long our training takes from its first step to its last, without building and saving."""
    said = {"batch_size": case.batch, **case.settings, **variant.training, "steps": steps}
    settings, compute = TrainingSettings.model_validate(said), Compute(threads=threads, **variant.compute)
    if settings.completed().n_dis != case.n_dis:
        raise SystemExit(
            f"{case.name} must have {case.n_dis} updates of D; the recipe has {settings.completed().n_dis}"
        )
    seen: list[tuple[float, float]] = []

    def progress(done: int, total: int, note: str = "") -> None:
        seen.append((time.perf_counter(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder:
        train_generator(images, settings, Path(folder), seed=0, compute=compute, progress=progress)
    return seen[-1][0] - seen[0][0], seen[-1][1] - seen[0][1]


class Counted(TorchDispatchMode):
    """Counts the floating point operations of convolutions and matrix products, forwards and backwards.

    torch's own FlopCounterMode fails at gradients of gradients.
    """

    total = 0

    def __torch_dispatch__(self, func: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


def flops(work: Step) -> int:
    """Return the operations of one call of `work`, which also warms it up."""
    with Counted() as counted:
        work()
    return counted.total


def speed() -> float:
    """Return the float32 operations a second of a matrix product, on torch's current threads."""
    a = torch.randn(2048, 2048)
    return 2 * 2048**3 / min(taken(lambda: a @ a)[0] for _ in range(10))


def compare(case: Case, variants: list[Variant], clone: Path, rounds: int, steps: int, threads: int) -> None:
    """Train ours and the peer's in turns, and print a line for each variant and peer, and the floor."""
    images = torch.randint(0, 256, (4096, case.channels, case.side, case.side), dtype=torch.uint8)
    floats = to_float(images[: 4 * case.batch])
    draw = lambda: floats[torch.randint(len(floats), (case.batch,))]  # noqa: E731
    peers = {way: case.peer(clone, way, draw) for way in case.ways}
    work = {variant.name: flops(lambda v=variant: ours(case, v, images, 1, threads)) for variant in variants}
    theirs = {way: flops(step) for way, step in peers.items()}  # which warms each up
    mine: dict[str, list[Seconds]] = {variant.name: [] for variant in variants}
    others: dict[str, list[Seconds]] = {name: [] for name in peers}
    fastest = 0.0
    for _ in range(rounds):
        for variant in variants:
            mine[variant.name].append(
                said(f"ours, {variant.name}", ours(case, variant, images, steps, threads))
            )
        for name, step in peers.items():
            found = taken(lambda s=step: [s() for _ in range(steps)])
            others[name].append(said(case.peer_name + name, found))
        fastest = max(fastest, speed())
    for name, times in mine.items():
        for peer, found in others.items():
            row(f"{case.name}, {name}", case.images * steps, times, case.peer_name + peer, found)
        least = work[name] / fastest
        step = min(wall for wall, _ in times) / steps
        peers_work = ", ".join(f"{flop / 1e9:,.3g}" for flop in theirs.values())
        print(
            f"  a step: {work[name] / 1e9:,.3g} GFLOP (the peer's {peers_work}); a matrix product "
            f"reaches {fastest / 1e9:,.1f} GFLOP/s: floor {least:.3g} s, taken {step:.3g} s, "
            f"{step / least:.2f} times the floor",
            flush=True,
        )


def said(who: str, took: Seconds) -> Seconds:
    """Print a round's time to standard error at once, since a run may take hours; return it."""
    print(f"  {who}: {took[0]:.1f} s, {took[1]:.1f} s of the processor", file=sys.stderr, flush=True)
    return took


def row(what: str, images: int, mine: list[Seconds], peer: str, theirs: list[Seconds]) -> None:
    """Print the medians of both, and the medians of the rounds' ratios."""
    rates = [images / statistics.median(wall for wall, _ in times) for times in (mine, theirs)]
    ratios = [
        statistics.median(t[clock] / m[clock] for m, t in zip(mine, theirs, strict=True)) for clock in (0, 1)
    ]
    print(
        f"{what:24} {rates[0]:8.2f} images/s   {peer:32} {rates[1]:8.2f} images/s   {ratios[0]:5.2f} x   "
        f"by processor time {ratios[1]:5.2f} x",
        flush=True,
    )


def main() -> None:
    """Compare with each peer whose clone is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mimicry", type=Path, help="a clone of kwotsin/mimicry, for SNGAN-32")
    parser.add_argument("--zoo", type=Path, help="a clone of facebookresearch/pytorch_GAN_zoo, for PGGAN-64")
    parser.add_argument("--minrf", type=Path, help="a clone of cloneofsimo/minRF, for the flow")
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, default=["float32"], help="ways to train ours"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1, help="updates of G a round")
    parser.add_argument("--threads", type=int, default=cores())
    given = parser.parse_args()
    clones = {"mimicry": given.mimicry, "pytorch_GAN_zoo": given.zoo, "minRF": given.minrf}
    if not any(clones.values()):
        parser.error("give --mimicry DIR, --zoo DIR or --minrf DIR, or several: clones of the peers")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # the peers call what torch has deprecated
    print(f"{given.threads} threads, torch {torch.__version__}", flush=True)
    for case in CASES:
        if clones[case.peer_name]:
            compare(
                case,
                [VARIANTS[name] for name in given.variants],
                clones[case.peer_name],
                given.rounds,
                given.steps,
                given.threads,
            )


if __name__ == "__main__":
    main()
