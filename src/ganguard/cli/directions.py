"""`ganguard directions`: fit directions of a generator's codes along which an attribute grows."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganguard.cli.options import LARGEST, Device, LatentDim, PixelRange, Seed, Threads, Trusted

if TYPE_CHECKING:
    from torch import Tensor

    from ganguard.base.compute import Compute
    from ganguard.defences.semantic_directions import Direction, Effect
    from ganguard.targets.load import TargetSettings
    from ganguard.targets.protocol import LatentTarget

directions = typer.Typer(
    help="Fit semantic directions of a generator's codes, for the defence `semantic_interpolation`."
)

_TARGET = (
    "The generator: a checkpoint directory, `hub:owner/name`, `python:module:factory`, or a file: "
    "`onnx:FILE`, `exported:FILE`, `state_dict:FILE`, `torchscript:FILE`."
)
_ATTRIBUTE = (
    "The attribute that grows: how far characters lean to the right, how thick strokes are, or how much an "
    "image looks like class K."
)
_CONDITION = "Directory of a direction that the new one must be orthogonal to. May be repeated."


@directions.command("fit")
def fit(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET, show_default=False)],
    attribute: Annotated[
        str, typer.Option(metavar="slant|thickness|class:K", help=_ATTRIBUTE, show_default=False)
    ],
    out: Annotated[
        Path,
        typer.Option(help="Output directory. A direction that lies there is replaced.", show_default=False),
    ],
    features: Annotated[
        str | None,
        typer.Option(
            help="For `class:K`: the `features` directory of an audit, whose classifier scores the images.",
            show_default=False,
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Number of codes that are drawn and scored.")
    ] = 10_000,
    share: Annotated[
        float,
        typer.Option(help="Share of them with the most of the attribute, and with the least: below 0.5."),
    ] = 0.02,
    condition: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help=_CONDITION, show_default=False)
    ] = None,
    seed: Seed = 0,
    latent_dim: LatentDim = None,
    pixel_range: PixelRange = None,
    trusted: Trusted = False,
    threads: Threads = 1,
    device: Device = "auto",
) -> None:
    """Fit a direction in the codes of TARGET along which an attribute of its images grows.

    Draws codes and scores their images. A linear SVM separates the codes with the most of the attribute from
    those with the least; the direction is the normal of its plane (InterFaceGAN, Shen et al. 2020). Prints
    JSON: how often the plane is right, on held-out codes of both ends and on all other codes, and what moving
    fresh codes does to the attribute (`spearman` of 1: it only grows). A high accuracy does not prove a good
    direction: look at the strip.

    Writes `OUT/direction.json`, `OUT/direction.safetensors`, and `OUT/strip.png`: a row for each code, a
    column for each amount, from -3 to 3 standard deviations. A spec uses it with `defences: [{kind:
    semantic_interpolation, direction: OUT, amount: 2}]`.

    Example: `ganguard directions fit runs/mine/checkpoint --attribute thickness --condition runs/slant --out
    runs/thickness`
    """
    import json

    from ganguard.base.compute import Compute
    from ganguard.base.locks import alone
    from ganguard.base.settings import parse
    from ganguard.cli.display import progress_of
    from ganguard.cli.options import target_of
    from ganguard.comparison.directions import effect_on, fit_for, save_strip
    from ganguard.defences.direction_files import load_direction, save_direction
    from ganguard.defences.semantic_directions import condition as conditioned

    compute = parse(Compute, {"device": device, "threads": threads}, "compute")
    others = [load_direction(directory) for directory in condition or []]
    opened = _opened(target, target_of(target, latent_dim, trusted, pixel_range), compute)
    told = _probabilities(attribute, features, opened.image_shape[0], compute)
    with progress_of(f"directions fit {attribute}") as progress, alone(out):
        fitted = fit_for(
            opened, attribute, samples=samples, seed=seed, probabilities=told, share=share, progress=progress
        )
        direction = conditioned(fitted, *others)
        found = effect_on(opened, direction, attribute, seed=seed, probabilities=told)
        save_direction(direction, out)
        save_strip(found.images, out)
    said = {"target": target, "attribute": attribute, "samples": samples, "share": share, "seed": seed}
    said |= _plane(fitted, direction, others) | {"effect": _effect(found), "direction": str(out)}
    typer.echo(json.dumps(said, indent=2))


def _opened(target: str, settings: "TargetSettings", compute: "Compute") -> "LatentTarget":
    """Open the target. Raises TargetError if its codes cannot be chosen."""
    from ganguard.base.errors import TargetError
    from ganguard.cli.options import open_and_say
    from ganguard.targets.protocol import LatentTarget

    opened = open_and_say(settings, compute)
    if isinstance(opened, LatentTarget):
        return opened
    raise TargetError(
        f"{target}: takes no codes, and a direction is fitted to codes. Name a target whose codes can be "
        "chosen."
    )


def _probabilities(
    attribute: str, features: str | None, channels: int, compute: "Compute"
) -> "Callable[[Tensor], Tensor] | None":
    """Return the classifier of images with that many channels, or None if `features` names none.

    It maps images (N, C, H, W) uint8 to probabilities (N, classes). Raises SpecError if the attribute is
    unknown, or does not go with a classifier, or cannot do without one.
    """
    from ganguard.base.errors import SpecError
    from ganguard.comparison.directions import ATTRIBUTES, score_of
    from ganguard.comparison.embedding import class_probabilities, network_of

    if features is None:
        score_of(attribute)
        return None
    if attribute in ATTRIBUTES:
        raise SpecError(
            f"--features: {attribute} is measured on pixels, without a classifier. Leave --features out."
        )
    _, network, _ = network_of(features, channels, compute)

    told = class_probabilities(network, compute)
    score_of(attribute, told)
    return told


def _plane(fitted: "Direction", direction: "Direction", others: "list[Direction]") -> dict[str, Any]:
    """Return what is printed of the plane.

    If the direction was made orthogonal to others, `kept` is its cosine with the direction that was fitted.
    """
    said: dict[str, Any] = {
        "latent_dim": fitted.latent_dim,
        "held_out_accuracy": fitted.held_out_accuracy,
        "rest_accuracy": fitted.rest_accuracy,
        "intercept": direction.intercept,
    }
    if others:
        kept = (fitted.vector.double() @ direction.vector.double()).item()
        said |= {"conditioned_on": [other.name for other in others], "kept": kept}
    return said


def _effect(found: "Effect") -> dict[str, Any]:
    """Return what is printed of the effect of moving codes along the direction."""
    return {
        "mean_score_at": {
            f"{amount:+g}": mean for amount, mean in zip(found.amounts, found.means, strict=True)
        },
        "spearman": found.spearman,
        "monotone_share": found.monotone,
    }
