"""`ganguard measure`: how far apart are two sets of images?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ganguard.cli.options import MOST_SIDE, Device, Threads
from ganguard.results.measures import of_two_sets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ganguard.comparison.values import Value

DEFAULT = "frechet_distance,precision,recall,density,coverage"

AnySize = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_SIDE,
        help="Side in pixels of the images of folders, and of data sets whose images are cropped.",
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
_SET = "a data set's name, a folder of images, a harvest, or a checkpoint"


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
        str,
        typer.Option(
            help="A network's name (`random_network`, `inception`), a mapping (`{kind: torchscript, path: "
            "net.pt, trusted: true}`), or the `features` directory of an audit, for its network and scale."
        ),
    ] = "random_network",
    metrics: Annotated[
        str,
        typer.Option(help=_metrics_help()),
    ] = DEFAULT,
    samples: Annotated[
        int, typer.Option(min=2, help="Images that a checkpoint makes, and the most that are read.")
    ] = 5000,
    scale: Scale = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Store features here, by the content of images and network, and reuse them.",
            show_default=False,
        ),
    ] = None,
    size: AnySize = None,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Measure images A against images B.

    Prints JSON: the numbers, and under `spread` the standard error of each, which is due to the number of
    images. inception_score, piqe and niqe are of A alone; the model of niqe is fitted to B. authenticity,
    copies and near_copies take B for the images that the generator of A was trained on. psnr and ssim are of
    pairs. Distances are of features scaled by B, or by the audit whose features are given, so they are not
    comparable to published ones: for those, set --scale none. Compare them only with distances of the same
    feature network, scale and numbers of images. frechet_distance_unscaled, kid, vendi_score and cmmd are of
    unscaled features, whatever the scale. Images are made, read and measured a thousand at a time. Their
    features stay in memory, and for ndb and jsd the pixels of B.

    Example: `ganguard measure runs/copy/checkpoint runs/bought --features audits/digits/features`
    """
    import json

    from ganguard.base.compute import Compute
    from ganguard.base.errors import SpecError
    from ganguard.base.seeds import derived_seed
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.image_sets import image_set, takes_size
    from ganguard.comparison.measure_sets import measure_sets, scale_name

    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    if size is not None and not (takes_size(generated) or takes_size(reference)):
        raise SpecError(
            f"--size {size}: neither A nor B has images that could be of another size. Leave --size out."
        )
    with progress_of("measure") as progress:
        # different seeds, so that one generator as A and B is measured by two draws
        seeds = (derived_seed(0, "measure", side) for side in "AB")
        sets = zip((generated, reference), seeds, strict=True)
        a, b = (image_set(text, samples, size, compute, progress, seed) for text, seed in sets)
        found = measure_sets(a, b, features, metrics, compute, progress, cache=cache, scale=scale)
    asked = {"A": generated, "B": reference, "features": features, "scale": scale_name(scale, features)}
    said = {**asked, "images": [a.count, b.count], **_numbers(found)}
    typer.echo(json.dumps(said, indent=2))


def _numbers(found: "Mapping[str, Value | str]") -> dict[str, Any]:
    """Return what is printed of the numbers: each, or why there is none; then all spreads."""
    measured = {name: value for name, value in found.items() if not isinstance(value, str)}
    said: dict[str, Any] = {
        name: value if isinstance(value, str) else value.value for name, value in found.items()
    }
    said["spread"] = {name: value.spread for name, value in measured.items()}
    if fewer := {name: value.images for name, value in measured.items() if value.images is not None}:
        said["images_judged"] = fewer
    return said
