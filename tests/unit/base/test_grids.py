"""Grids of what a white-box attack kept and dropped."""

import io
from pathlib import Path

import torch
from PIL import Image

from ganguard.base.grids import DROPPED_FILE, KEPT_FILE, save_kept_and_dropped


def test_grids_hold_each_image_once(tmp_path: Path) -> None:
    images = torch.arange(60, dtype=torch.uint8).reshape(60, 1, 1, 1).expand(60, 1, 8, 8)
    save_kept_and_dropped(images, torch.tensor([59, 0, 59]), tmp_path)
    assert sizes(tmp_path) == {KEPT_FILE: (71, 8), DROPPED_FILE: (71, 53)}


def test_of_no_image_there_is_no_grid(tmp_path: Path) -> None:
    save_kept_and_dropped(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), torch.arange(3), tmp_path)
    assert list(sizes(tmp_path)) == [KEPT_FILE]


def sizes(directory: Path) -> dict[str, tuple[int, int]]:
    """Width and height of the grids that are there."""
    files = [directory / name for name in (KEPT_FILE, DROPPED_FILE) if (directory / name).exists()]
    return {file.name: Image.open(io.BytesIO(file.read_bytes())).size for file in files}
