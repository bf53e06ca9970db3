"""Images in a terminal: two pixels a character, the upper one its colour and the lower one its background."""

import torch
from rich.text import Text
from torch import Tensor

from ganguard.base.grids import GAP, tiled
from ganguard.base.images import in_channels

_UPPER_HALF = "▀"
_TILE = 16  # most pixels of an image's side
_ROWS = 4
_GUTTER = 2


def side_by_side(generated: Tensor, real: Tensor, width: int) -> Text:
    """Return images of two sets (N, C, H, W) uint8 side by side, as many as fit into `width` characters."""
    tile = min(_TILE, max(generated.shape[2:]), (width - _GUTTER) // 2)
    columns = max(1, (width - _GUTTER) // 2 // (tile + GAP))
    sides = [tiled(_small(images[: columns * _ROWS], tile), columns) for images in (generated, real)]
    height = min(side.shape[1] for side in sides)
    gutter = torch.zeros(3, height, _GUTTER, dtype=torch.uint8)
    return _drawn(torch.cat([sides[0][:, :height], gutter, sides[1][:, :height]], 2))


def _small(images: Tensor, side: int) -> Tensor:
    """Return images (N, 3, h, w) uint8 in colour, at most `side` pixels high and wide."""
    floats = in_channels(images, 3).float()
    share = side / max(images.shape[2:])
    size = [max(1, round(share * each)) for each in images.shape[2:]]
    shrunk = torch.nn.functional.interpolate(floats, size, mode="area") if share < 1 else floats
    return shrunk.round().to(torch.uint8)


def _drawn(picture: Tensor) -> Text:
    """Return a picture (3, H, W) uint8 as lines of half blocks."""
    if picture.shape[1] % 2:
        picture = torch.cat([picture, torch.zeros_like(picture[:, :1])], 1)
    text = Text()
    upper, lower = picture[:, ::2].permute(1, 2, 0).tolist(), picture[:, 1::2].permute(1, 2, 0).tolist()
    for above, below in zip(upper, lower, strict=True):
        for one, other in zip(above, below, strict=True):
            text.append(_UPPER_HALF, f"{_colour(one)} on {_colour(other)}")
        text.append("\n")
    return text


def _colour(pixel: list[int]) -> str:
    return f"rgb({','.join(map(str, pixel))})"
