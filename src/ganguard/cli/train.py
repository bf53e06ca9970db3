"""`ganguard train`: train a GAN on real images."""

from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganguard.cli.options import Changes, Device, Out, Seed, Size, Threads

if TYPE_CHECKING:
    from torch import Tensor

    from ganguard.base.compute import Compute
    from ganguard.base.labels import Labels
    from ganguard.base.progress import Progress
    from ganguard.training.differential_privacy import PrivateTraining
    from ganguard.training.early_stopping import Watch

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set's name, or the path of a folder, zip, LMDB or Parquet of images.",
        show_default=False,
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        help="`acgan`, `biggan`, `dcgan`, `flow`, `pggan`, `sngan` or `stylegan2`. By default that of "
        "--beginning, otherwise `sngan`.",
        show_default=False,
    ),
]
Beginning = Annotated[
    Path | None,
    typer.Option(help="A checkpoint whose weights G and D begin with.", show_default=False),
]
WatchEvery = Annotated[
    int | None,
    typer.Option(
        min=1, help="Steps between measurements of the FD to held-out real images; the best G is kept."
    ),
]
Features = Annotated[
    str,
    typer.Option(help="Feature network that --watch-every measures with, named as for `measure --features`."),
]
Board = Annotated[
    Path | None, typer.Option(help="Directory for TensorBoard: losses, FD, images per second, sample grids.")
]
OnEach = Annotated[
    int,
    typer.Option(min=1, help="GPUs, or processes on CPU, that share each batch. This command starts them."),
]
Nodes = Annotated[
    int,
    typer.Option(min=1, help="Machines, each with that many devices. torchrun starts this command on them."),
]


def train(
    data: Data,
    out: Out,
    architecture: Architecture = None,
    steps: Annotated[
        int, typer.Option(min=1, help="Updates of G. Raise them, and a training goes on.")
    ] = 3000,
    beginning: Beginning = None,
    seed: Seed = 0,
    size: Size = None,
    changes: Changes = None,
    watch_every: WatchEvery = None,
    features: Features = "random_network",
    tensorboard: Board = None,
    threads: Threads = 1,
    device: Device = "auto",
    devices: OnEach = 1,
    nodes: Nodes = 1,
) -> None:
    """Train a GAN on the train split (70 %) of real images.

    Writes `OUT/checkpoint`, which `harvest`, `attack`, `measure` and an audit's `target: {checkpoint: …}`
    read. The state is saved now and then: after a kill the same command goes on from it, and arrives at the
    same weights as if it had not been killed.

    With more `--steps` a finished training goes on from where it ended. With other `--threads` or another
    `--device` it goes on too. The checkpoint says so if its bits are then not those of one go.

    With `--beginning CHECKPOINT` a new training begins with the weights of another one.

    With `--set "architecture={kind: sngan, classes: 10}"` the GAN learns the ten classes of its data, and its
    images can be asked for by class.

    With `--set "architecture={kind: dcgan, discriminator_norm: group}" --set differential_privacy.epsilon=10`
    the training is differentially private (`pip install 'ganguard[dp]'`), and the checkpoint says which ε it
    spent.

    With `--watch-every N` the Fréchet distance to the other 30 % is measured every N steps and written to
    `OUT/judged.json`; the checkpoint is that of the smallest distance.

    With `--set held_out=0.1` a flow keeps a tenth of the images from its training, and the checkpoint is that
    of its smallest loss on them.

    With `--tensorboard DIR` losses, that distance, the pace and grids of samples are written there during the
    training; see them with `tensorboard --logdir DIR` (`pip install 'ganguard[tensorboard]'`).

    With `--devices 4` four GPUs share each batch. On several machines torchrun starts the command, and OUT
    lies on a disk that they share: `torchrun --nnodes 2 --nproc-per-node 4 … --no-python ganguard train …
    --devices 4 --nodes 2`.

    Example: `ganguard train digits --out runs/mine --steps 3000 --set learning_rate=1e-3 --set n_dis=1`
    """
    from ganguard.base.compute import Compute
    from ganguard.base.image_rows import ImageRows
    from ganguard.base.locks import alone
    from ganguard.base.progress import silent
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.training.loop import train_generator
    from ganguard.training.processes import Devices
    from ganguard.training.tensorboard import TensorBoard

    settings = _settings(architecture, steps, beginning, changes or [])
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    spread = parse(Devices, {"devices": devices, "nodes": nodes}, "train")
    first = spread.is_first()
    scored = "loss on held-out images" if settings.held_out else "FD to held-out images"
    board = TensorBoard(tensorboard, judged=scored) if tensorboard and first else None
    with (
        progress_of(f"train {settings.architecture.kind}") if first else nullcontext(silent) as progress,
        closing(board) if board else nullcontext(),
        _failures_said_once(first),
    ):
        images, seen, held_out, labels = _data(data, size, settings, progress)
        watch = _watch(images, held_out, features, compute, watch_every, judges=first)
        # Taken before the training, so that a path that cannot be written is found before it, not after.
        with alone(out) if first else nullcontext():
            checkpoint = train_generator(
                ImageRows(images, seen),
                settings,
                out,
                seed=seed,
                compute=compute,
                devices=spread,
                progress=progress,
                watch=watch,
                journal=board,
                labels=labels,
            )
    if first:
        _say(checkpoint, out, watched=watch is not None or settings.held_out is not None)


def _say(checkpoint: Path, out: Path, *, watched: bool) -> None:
    """Print where the checkpoint is, and on standard error if its training is not that of one go."""
    from ganguard.architectures.checkpoint import read_description
    from ganguard.training.early_stopping import best_step

    best = f" (step {best_step(out)}, the best of those watched)" if watched else ""
    typer.echo(f"Checkpoint: {checkpoint}{best}")
    for part in read_description(checkpoint).provenance.get("parts", [])[:-1]:
        how = ", ".join(f"{name} {value}" for name, value in part["how"].items())
        typer.echo(f"Its steps up to {part['until']:,} were computed in another way: {how}.", err=True)


def _settings(
    architecture: str | None, steps: int, beginning: Path | None, changes: list[str]
) -> "PrivateTraining":
    """Return the settings of the training that the options describe. Raises InputError if they are wrong."""
    from ganguard.base.settings import apply_changes, parse
    from ganguard.cli.options import default_architecture
    from ganguard.training.differential_privacy import PrivateTraining

    given: dict[str, Any] = {"steps": steps} | ({"architecture": architecture} if architecture else {})
    given |= {"beginning": {"checkpoint": str(beginning)}} if beginning else {}
    values = apply_changes(given | default_architecture(given, changes), changes)
    return parse(PrivateTraining, values, "train")


def _data(
    data: str, size: str | None, settings: "PrivateTraining", progress: "Progress"
) -> "tuple[Tensor, Tensor, Tensor, Labels | None]":
    """Return the images of a data set, (N, C, H, W) uint8, the rows of those to train on and of the others,
    and the classes of those to train on.

    Raises DataError if they cannot be read, and SpecError if their classes are not the architecture's.
    """
    from ganguard.cli.options import dataset_of, load_and_say
    from ganguard.data.splits import split
    from ganguard.training.classes import labels_to_learn

    real = load_and_say(dataset_of(data, size), progress)
    rows = split(real)
    labels = labels_to_learn(settings, real.labels, real.classes, rows.train)
    return real.images, rows.train, rows.reference, labels


def _watch(
    images: "Tensor",
    held_out: "Tensor",
    features: str,
    compute: "Compute",
    every: int | None,
    *,
    judges: bool,
) -> "Watch | None":
    """Return the judge of a training's G, or None if it is not to be watched.

    Args:
        images: real images (N, C, H, W) uint8, read only if they are needed: they may exceed memory.
        held_out: rows of those that the training does not see.
        features: name of the feature network.
        compute: where it runs.
        every: steps of G between two looks; None for no looks.
        judges: whether this process judges. One that does not waits for the first process at the same steps.
    """
    if every is None:
        return None
    from ganguard.base.image_rows import ImageRows
    from ganguard.comparison.watch import watch_by_distance
    from ganguard.training.early_stopping import Watch

    if not judges:
        return Watch(lambda _: 0.0, every)
    return watch_by_distance(ImageRows(images, held_out), features, compute, every=every)


@contextmanager
def _failures_said_once(first: bool) -> Generator[None]:
    """Exit without a message if the first process prints the one that matters.

    That is so if this process ends because another one failed, and if all refuse the same settings.
    """
    from ganguard.base.errors import SpecError
    from ganguard.training.processes import AnotherProcess

    try:
        yield
    except (AnotherProcess, SpecError) as problem:
        if first:
            raise
        raise typer.Exit(1 if isinstance(problem, AnotherProcess) else 2) from None
