"""Grids of sample images: tiles at their own resolution, one pixel apart."""

from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.cache import write_bytes
from ganguard.base.codecs import encode_png
from ganguard.base.images import composed

# Results say COLUMNS of every grid, also of one that a step drew long ago: another layout needs another file
# name, so that no such grid is found.
COLUMNS, ROWS = 8, 6
TILES = COLUMNS * ROWS
GAP = 1  # pixels between tiles
BETWEEN = 128  # the grey there
GRID_FILE, KEPT_FILE, DROPPED_FILE = "grid.png", "kept.png", "dropped.png"


def save_grid(images: Tensor, directory: Path, file: str = GRID_FILE) -> None:
    """Write the first COLUMNS x ROWS of images (N, C, H, W) uint8 as one PNG in `directory`, with grey
    between the tiles. Images with opacity are shown before a white background."""
    save_rows(images[:TILES], COLUMNS, directory / file)


def save_rows(images: Tensor, columns: int, path: Path) -> None:
    """Write images (N, C, H, W) uint8 as one PNG with `columns` images a row."""
    write_bytes(path, encode_png(tiled(composed(images), columns)))


def tiled(images: Tensor, columns: int) -> Tensor:
    """Return images (N, C, H, W) uint8 as one picture (C, H', W'), with grey between the tiles."""
    _, channels, height, width = images.shape
    rows = -(-len(images) // columns)
    grid = torch.full(
        (channels, rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), BETWEEN, dtype=torch.uint8
    )
    for index, tile in enumerate(images):
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        grid[:, top : top + height, left : left + width] = tile
    return grid


def save_kept_and_dropped(images: Tensor, kept: Tensor, directory: Path) -> None:
    """Write two grids of images (N, C, H, W) uint8: those whose indices are in `kept`, and the others. A grid
    without images is not written."""
    is_kept = torch.zeros(len(images), dtype=torch.bool)
    is_kept[kept] = True
    for file, chosen in ((KEPT_FILE, is_kept), (DROPPED_FILE, ~is_kept)):
        if chosen.any():
            save_grid(images[chosen.nonzero()[:TILES, 0]], directory, file)
