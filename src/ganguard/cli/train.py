"""`ganguard train`: a GAN on real images."""

from collections.abc import Generator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ganguard.cli.options import Changes, Device, Out, Seed, Size, Threads

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A data set's name, or a folder, zip, LMDB or Parquet of images.",
        show_default=False,
    ),
]
WatchEvery = Annotated[
    int | None,
    typer.Option(min=1, help="Steps between looks at the FD to held-out real images; the best G is kept."),
]
Features = Annotated[
    str,
    typer.Option(help="What --watch-every measures by: a feature network, as `measure --features` takes it."),
]
Board = Annotated[
    Path | None, typer.Option(help="Directory for TensorBoard: losses, FD, images a second, sample grids.")
]
OnEach = Annotated[
    int,
    typer.Option(min=1, help="GPUs, or processes on CPU, that share each batch; this command starts them."),
]
Nodes = Annotated[int, typer.Option(min=1, help="Machines of so many devices each; torchrun starts them.")]


def train(
    data: Data,
    out: Out,
    architecture: Annotated[str, typer.Option(help="`dcgan`, `sngan`, `pggan` or `stylegan2`.")] = "sngan",
    steps: Annotated[int, typer.Option(min=1, help="Updates of G.")] = 3000,
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
    read. The state is saved as it goes: the same command goes on after a kill, with the same weights as if it
    had not been killed.

    With `--set "architecture={kind: dcgan, discriminator_norm: group}" --set differential_privacy.epsilon=10`
    the training is differentially private (`pip install 'ganguard[dp]'`), and the checkpoint says how much it
    spent.

    With `--watch-every N` the Fréchet distance to the other 30 % is measured every N steps and written to
    `OUT/judged.json`; the checkpoint is that of the best look.

    With `--tensorboard DIR` losses, that distance, the pace and grids of samples are noted there as it goes;
    see them with `tensorboard --logdir DIR` (`pip install 'ganguard[tensorboard]'`).

    With `--devices 4` four GPUs share each batch. Several machines run it by torchrun, with OUT on a disk
    that they share: `torchrun --nnodes 2 --nproc-per-node 4 … --no-python ganguard train … --devices 4
    --nodes 2`.

    Example: `ganguard train digits --out runs/mine --steps 3000 --set learning_rate=1e-3 --set n_dis=1`
    """
    from ganguard.base.compute import Compute
    from ganguard.base.image_rows import ImageRows
    from ganguard.base.locks import alone
    from ganguard.base.progress import silent
    from ganguard.base.settings import apply_changes, parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import dataset_of, load_and_say
    from ganguard.comparison.watch import watch_by_distance
    from ganguard.data.splits import split
    from ganguard.training.differential_privacy import PrivateTraining
    from ganguard.training.early_stopping import Watch, best_step
    from ganguard.training.loop import train_gan
    from ganguard.training.processes import Devices
    from ganguard.training.tensorboard import TensorBoard

    values = apply_changes({"architecture": architecture, "steps": steps}, changes or [])
    settings = parse(PrivateTraining, values, "train")
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    spread = parse(Devices, {"devices": devices, "nodes": nodes}, "train")
    first, watch = spread.is_first(), None
    board = TensorBoard(tensorboard) if tensorboard and first else None
    with (
        progress_of(f"train {settings.architecture.kind}") if first else nullcontext(silent) as progress,
        closing(board) if board else nullcontext(),
        _failures_said_once(first),
    ):
        real = load_and_say(dataset_of(data, size), progress)
        rows = split(real)
        images = ImageRows(real.images, rows.train)
        if watch_every and first:
            watch = watch_by_distance(real.images[rows.reference], features, compute, every=watch_every)
        elif watch_every:
            watch = Watch(lambda _: 0.0, watch_every)  # the first process judges, and this one waits as often
        with (
            alone(out) if first else nullcontext()
        ):  # a path that cannot be written is found before the training, not after
            checkpoint = train_gan(
                images,
                settings,
                out,
                seed=seed,
                compute=compute,
                devices=spread,
                progress=progress,
                watch=watch,
                journal=board,
            )
    if not first:
        return
    best = f" (step {best_step(out)}, the best of those watched)" if watch else ""
    typer.echo(f"Checkpoint: {checkpoint}{best}")


@contextmanager
def _failures_said_once(first: bool) -> Generator[None]:
    """A process that ends because another one failed says nothing: that one says why. Nor does any but the
    first of settings that all refuse alike."""
    from ganguard.base.errors import SpecError
    from ganguard.training.processes import AnotherProcess

    try:
        yield
    except (AnotherProcess, SpecError) as problem:
        if first:
            raise
        raise typer.Exit(1 if isinstance(problem, AnotherProcess) else 2) from None
