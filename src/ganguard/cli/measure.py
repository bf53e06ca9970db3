"""`ganguard measure`: how far apart are two sets of images?"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ganguard.cli.options import Device, LatentDim, Threads, Trusted
from ganguard.results.measures import of_two_sets

DEFAULT = "frechet_distance,precision,recall,density,coverage"
DEFAULT_NETWORK = "random_network"

AnySize = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE|WIDTHxHEIGHT",
        help="Size in pixels of the images of folders, and of data sets whose images are cropped.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Store features here, by the content of images and network, and reuse them.",
        show_default=False,
    ),
]
Scale = Annotated[
    Literal["audit", "b", "none"] | None,
    typer.Option(
        help="What features are scaled by. `audit`: what the audit scales them by whose features are "
        "given; the default for those. `b`: B, so that each dimension counts alike; the default for "
        "others. `none`: nothing, as in published numbers.",
        show_default=False,
    ),
]
Channels = Annotated[
    int | None,
    typer.Option(
        help="1 makes all images grey, 3 makes them RGB. By default grey images become RGB if those of the "
        "other set have colour.",
        show_default=False,
    ),
]
_SET = (
    "a data set's name, a folder or file of images, an .npz file of images (`arr_0`) or of statistics (`mu`, "
    "`sigma`), a harvest, a checkpoint, or another target as `ganguard harvest` takes it"
)


def _metrics_help() -> str:
    """Return the help of --metrics: all numbers, by which direction is better."""
    said = "Which to print, with commas between; `all` for every one that these images and features allow."
    for better in ("lower", "higher"):
        names = [measure.name for measure in of_two_sets() if measure.better == better]
        said += f" {better.capitalize()} is better: {', '.join(names)}."
    if neither := [measure.name for measure in of_two_sets() if measure.better == "none"]:
        said += f" Neither is: {', '.join(neither)}."
    return said


def measure(
    generated: Annotated[
        str, typer.Argument(metavar="A", help=f"What is measured: {_SET}.", show_default=False)
    ],
    reference: Annotated[
        str, typer.Argument(metavar="B", help=f"What it is measured against: {_SET}.", show_default=False)
    ],
    features: Annotated[
        str | None,
        typer.Option(
            help="A network's name (`random_network`, `inception`), a mapping (`{kind: torchscript, path: "
            "net.pt, trusted: true}`), or the `features` directory of an audit, for its network and scale.",
            show_default=DEFAULT_NETWORK,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help=_metrics_help(), show_default=DEFAULT),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=2, help="Images that a target makes, and the most that are read.")
    ] = 5000,
    scale: Scale = None,
    cache: Cache = None,
    size: AnySize = None,
    channels: Channels = None,
    latent_dim: LatentDim = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Measure images A against images B.

    Prints JSON (docs/measure.schema.json): the numbers; under `spread` the standard error of each, which is
    due to the number of images; under `not_measured` why a number is absent; and what was measured, and how.
    inception_score, piqe and niqe are of A alone; the model of niqe is fitted to B. authenticity, copies and
    near_copies take B for the images that the generator of A was trained on. psnr and ssim are of pairs:
    files of one name, rows at one place, images of one index or code. Distances are of features scaled by B,
    or by the audit whose features are given, so they are not comparable to published ones: for those, set
    --scale none. frechet_distance_unscaled, kid, vendi_score and cmmd are of unscaled features in any case.
    Compare distances only with those of the same feature network, scale and numbers of images. Images are
    made, read and measured a part at a time. Their features stay in memory, and for ndb and jsd the pixels
    of B.

    Example: `ganguard measure runs/copy/checkpoint runs/bought --features audits/digits/features`
    """
    from ganguard.base.compute import Compute
    from ganguard.base.seeds import derived_seed
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.image_sets import compared_set
    from ganguard.cli.measured import Manner, compared, record_of
    from ganguard.cli.target_sets import given_targets
    from ganguard.results.measured import as_json

    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    texts = (generated, reference)
    _refuse_early(texts, metrics, channels, size)  # before large sets are read
    targets = given_targets(texts, latent_dim, trusted)
    with progress_of("measure") as progress:
        # different seeds, so that one generator as A and B is measured by two draws
        seeds = (derived_seed(0, "measure", side) for side in "AB")
        sets = zip(texts, seeds, targets, strict=True)
        a, b = (compared_set(text, samples, size, compute, progress, seed, of) for text, seed, of in sets)
        manner = Manner(channels, features, metrics, scale)
        sides, found = compared(a, b, manner, compute, progress, cache)
    record = record_of({"A": generated, "B": reference, "features": features}, sides, found, compute)
    for note in record.notes:
        typer.echo(note, err=True)
    typer.echo(as_json(record))


def _refuse_early(
    texts: tuple[str, str], metrics: str | None, channels: int | None, size: str | None
) -> None:
    """Raise SpecError if an option cannot be used."""
    from ganguard.base.errors import SpecError
    from ganguard.cli.image_sets import takes_size
    from ganguard.comparison.metric_names import named_metrics

    if metrics is not None:
        named_metrics(metrics)
    if channels not in (None, 1, 3):
        raise SpecError(f"--channels must be 1 (grey) or 3 (RGB); got {channels}.")
    if size is not None and not any(map(takes_size, texts)):
        raise SpecError(
            f"--size {size}: neither A nor B has images that could be of another size. Leave --size out."
        )
