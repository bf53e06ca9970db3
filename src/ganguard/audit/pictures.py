"""Grids of sample images: tiles at their own resolution, one pixel apart."""

from pathlib import Path

import torch
from torch import Tensor

from ganguard.base.cache import write_bytes
from ganguard.base.codecs import encode_png

COLUMNS, ROWS = 8, 6
TILES = COLUMNS * ROWS
GAP = 1  # pixels
GRID_FILE = "grid.png"


def save_grid(images: Tensor, directory: Path) -> None:
    """Write the first COLUMNS x ROWS of images (N, C, H, W) uint8 as one PNG, grey between the tiles."""
    tiles = images[:TILES]
    _, channels, height, width = tiles.shape
    rows = -(-len(tiles) // COLUMNS)
    grid = torch.full((channels, rows * (height + GAP) - GAP, COLUMNS * (width + GAP) - GAP), 128, dtype=torch.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // COLUMNS) * (height + GAP), (index % COLUMNS) * (width + GAP)
        grid[:, top : top + height, left : left + width] = tile
    write_bytes(directory / GRID_FILE, encode_png(grid))
