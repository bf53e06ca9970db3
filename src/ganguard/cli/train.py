"""`ganguard train`: a GAN on real images."""

from typing import Annotated

import typer

from ganguard.cli.options import Changes, Device, Out, Seed, Size, Threads


def train(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A data set's name, or a folder, zip, LMDB or Parquet of images.",
            show_default=False,
        ),
    ],
    out: Out,
    architecture: Annotated[str, typer.Option(help="`dcgan`, `sngan`, `pggan` or `stylegan2`.")] = "sngan",
    steps: Annotated[int, typer.Option(min=1, help="Updates of G.")] = 3000,
    seed: Seed = 0,
    size: Size = None,
    changes: Changes = None,
    watch_every: Annotated[
        int | None, typer.Option(min=1, help="Steps between looks at the FD to held-out real images; the best G is kept.")
    ] = None,
    features: Annotated[
        str, typer.Option(help="What --watch-every measures by: a feature network, as `measure --features` takes it.")
    ] = "random_network",
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Train a GAN on the train split (70 %) of real images.

    Writes `OUT/checkpoint`, which `harvest`, `attack`, `measure` and an audit's `target: {checkpoint: …}` read. The state is
    saved as it goes: the same command goes on after a kill, with the same weights as if it had not been killed.

    With `--set "architecture={kind: dcgan, discriminator_norm: group}" --set differential_privacy.epsilon=10` the training is
    differentially private (`pip install 'ganguard[dp]'`), and the checkpoint says how much it spent.

    With `--watch-every N` the Fréchet distance to the other 30 % is measured every N steps and written to `OUT/judged.json`;
    the checkpoint is that of the best look.

    Example: `ganguard train digits --out runs/mine --steps 3000 --set learning_rate=1e-3 --set n_dis=1`
    """
    from ganguard.audit.directory import alone
    from ganguard.audit.watching import watch_by_distance
    from ganguard.base.compute import Compute
    from ganguard.base.image_rows import ImageRows
    from ganguard.base.settings import apply_changes, parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import dataset_of, load_and_say
    from ganguard.data.splits import split
    from ganguard.training.differential_privacy import PrivateTraining
    from ganguard.training.early_stopping import best_step
    from ganguard.training.loop import train_gan

    values = apply_changes({"architecture": architecture, "steps": steps}, changes or [])
    settings = parse(PrivateTraining, values, "train")
    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    with progress_of(f"train {architecture}") as progress:
        real = load_and_say(dataset_of(data, size), progress)
        rows = split(real)
        images = ImageRows(real.images, rows.train)
        watch = watch_by_distance(real.images[rows.reference], features, compute, every=watch_every) if watch_every else None
        with alone(out):  # and a path that cannot be written is found before the training, not after
            checkpoint = train_gan(images, settings, out, seed=seed, compute=compute, progress=progress, watch=watch)
    best = f" (step {best_step(out)}, the best of those watched)" if watch else ""
    typer.echo(f"Checkpoint: {checkpoint}{best}")
