"""What becomes of transparency when an image is read: it is left out, kept as a channel, or composed."""

from pathlib import Path
from typing import Literal

from torch import Tensor

from ganguard.base.codecs import Opacity, Orient, decode_image
from ganguard.base.images import composed, has_opacity

Alpha = Literal["drop", "keep", "white", "black"]
_LEVELS = {"white": 255, "black": 0}


def decode_with(
    alpha: Alpha | None, content: bytes | Path, name: str, channels: int | None, *, orient: Orient, kept: bool
) -> tuple[Tensor, bool]:
    """Return an image (C, H, W) uint8, and whether it has transparent pixels of which nobody said what to do.

    Args:
        alpha: what to do about transparency; None leaves it out.
        content: bytes or path of the file.
        name: name of the image in messages.
        channels: 1 or 3 colours; None keeps grey images grey and makes all others RGB.
        orient: see `base.codecs.decode_image`, whose errors this raises.
        kept: whether opacity that the file holds is kept.
    """
    opacity: Opacity = "dropped" if alpha == "drop" else "always" if alpha == "keep" else "held"
    image = decode_image(content, name, channels, orient=orient, opacity=opacity)
    if kept or not has_opacity(len(image)):
        return image, False
    if alpha in _LEVELS:
        return composed(image[None], _LEVELS[alpha])[0], False
    return image[:-1], bool((image[-1] < 255).any())


def shows(see_through: int, count: int) -> tuple[str, ...]:
    """Return that what lies under transparent pixels shows, if nobody decided so."""
    if not see_through:
        return ()
    return (
        f"{see_through:,} of {count:,} images have transparent pixels, and what lies under them shows. "
        "`alpha: white` or `black` puts them before that background, `keep` keeps their opacity, `drop` is "
        "what was done",
    )
