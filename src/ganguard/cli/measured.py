"""From the two sets of `ganguard measure` to the record that it prints."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple, cast

from ganguard import __version__
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.images import colours_of
from ganguard.base.progress import Progress
from ganguard.cli.measure import DEFAULT, DEFAULT_NETWORK
from ganguard.comparison.foreign import ALLOWED, Foreign, measure_foreign
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.measure_sets import Measured, ScaleName, measured_sets
from ganguard.comparison.values import Value
from ganguard.results.measured import MeasuredBase, SetRecord, measured_record

Side = ImageSet | Foreign


class Manner(NamedTuple):
    """How two sets are compared.

    Attributes:
        channels: 1 or 3 that all images are given; None makes grey ones RGB if the other set has colour.
        features: the network, as it was named; None takes the default, if there are images on both sides.
        metrics: names of the numbers; None takes the default.
        scale: of features; None takes the default.
    """

    channels: int | None
    features: str | None
    metrics: str | None
    scale: ScaleName | None


def compared(
    a: Side,
    b: Side,
    manner: Manner,
    compute: Compute,
    progress: Progress,
    cache: Path | None,
) -> tuple[tuple[Side, Side], Measured]:
    """Return both sets as they were measured, and what was found.

    Args:
        a: what is measured.
        b: what it is measured against.
        manner: how they are compared.
        compute: device and threads.
        progress: told how far it is.
        cache: a directory in which features are kept, or None.

    Raises InputError if the sets cannot be compared.
    """
    channels, features, metrics, scale = manner
    depths = [side.shape[0] for side in (a, b) if isinstance(side, ImageSet)]
    if depths:
        wanted = cast(Literal[1, 3], channels or max(map(colours_of, depths)))
        a, b = (side.in_channels(wanted) if isinstance(side, ImageSet) else side for side in (a, b))
    if isinstance(a, Foreign) or isinstance(b, Foreign):
        if scale not in (None, "none"):
            raise SpecError(
                f"--scale {scale}: statistics come as they are, so nothing can be scaled. Leave --scale out."
            )
        names = ",".join(ALLOWED) if metrics is None else metrics
        found = measure_foreign(a, b, features, names, compute, progress, cache=cache)
    else:
        network = DEFAULT_NETWORK if features is None else features
        names = DEFAULT if metrics is None else metrics
        found = measured_sets(a, b, network, names, compute, progress, cache=cache, scale=scale)
    return (a, b), found


def record_of(
    said: Mapping[str, str | None], sides: tuple[Side, Side], found: Measured, compute: Compute
) -> MeasuredBase:
    """Return the record of what was found.

    said: A, B and features, as they were named.
    """
    a, b = map(_set, sides)
    converted = [
        f"all images of {name} were made {side.converted}"
        for name, side in (("A", a), ("B", b))
        if side.converted
    ]
    converted += [
        f"images of {name} have opacity: they are measured before a white background"
        for name, side in zip("AB", sides, strict=True)
        if isinstance(side, ImageSet) and side.origin.composed
    ]
    values = found.values
    return measured_record().model_validate(
        {
            **said,
            "features": said["features"] or ("" if "statistics" in (a.kind, b.kind) else DEFAULT_NETWORK),
            "images": (a.images, b.images),
            **{name: value.value for name, value in values.items()},
            "spread": {name: value.spread for name, value in values.items() if value.spread is not None},
            "images_judged": {name: value.images for name, value in values.items() if value.images},
            "by_class": _by_class(values),
            "not_measured": found.refused,
            "notes": (*converted, *found.notes),
            "pairs": found.pairs and {"count": a.images, "by": found.pairs},
            "sets": {"A": a, "B": b},
            "network": found.network,
            "compute": {"device": compute.torch_device().type, "threads": compute.threads},
            "versions": {
                "ganguard": __version__,
                "python": platform.python_version(),
                **{name: version(name) for name in ("torch", "numpy", "pillow")},
            },
        }
    )


def _by_class(values: Mapping[str, Value]) -> dict[str, dict[str, object]] | None:
    """Return the numbers of each class that were measured; None if there are none."""
    return {
        name: {of: {"value": v.value, "spread": v.spread, "images": v.images} for of, v in parts.items()}
        for name, value in values.items()
        if (parts := value.by_class)
    } or None


def _set(side: Side) -> SetRecord:
    if isinstance(side, Foreign):
        return SetRecord(kind="statistics", images=0, held=0)
    channels, height, width = side.shape
    return SetRecord(
        kind=side.origin.kind,
        images=side.count,
        held=side.whole.count if side.whole else side.count,
        channels=cast(Literal[1, 3], channels),
        height=height,
        width=width,
        size=side.origin.size if isinstance(side.origin.size, int) else None,
        crop=side.origin.crop,
        orient=side.origin.orient,
        stray=side.origin.stray,
        unreadable=side.origin.unreadable,
        made_rgb=side.origin.made_rgb,
        converted=side.origin.converted or None,
    )
