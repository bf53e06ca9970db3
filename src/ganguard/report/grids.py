"""Grids of sample images on the page, all at one scale."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganguard.base.errors import DataError
from ganguard.report.findings import budgets_planned, labels, of_copy, seeds, why_failed
from ganguard.report.numbers import counted, number
from ganguard.results.measures import DISTANCE
from ganguard.results.records import AuditResults, Depicted, Picture
from ganguard.results.summaries import summarise

GRID_WIDTH = 300  # CSS pixels that a grid may take: it fits a phone, and three fit side by side on a screen
TILE_SIDE = 64  # CSS pixels that the side of a tile may be enlarged to
LARGEST_GRID = 64 << 20  # bytes of a grid's file
SHOWN: dict[Depicted, str] = {
    "real": "real images",
    "target": "images of the target",
    "noise": "pure noise",
    "substitute": "images of the copy made",
    "kept": "bought images that subsampling kept, for the copy made",
    "dropped": "bought images that subsampling never kept, for the copy made",
    "defended": "images of the target",
    "direction": "codes of the target, one a row, moved along the direction",
}
"""What a grid of each subject shows; whose it is follows."""
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Grid:
    """A grid of images on the page.

    Attributes:
        note: says which copy it is of, or why there is none.
        width, height: in CSS pixels, a whole multiple of the file's.
        data: base64 of the PNG; empty if there is no copy to show.
    """

    title: str
    note: str
    alt: str
    width: int
    height: int
    data: str


@dataclass(frozen=True)
class GridRow:
    """Grids side by side under a heading."""

    heading: str
    grids: tuple[Grid, ...]


@dataclass(frozen=True)
class Gallery:
    """The pictures of the results.

    Attributes:
        files: PNG files by name.
        scale: CSS pixels for the side of one image pixel, a whole number of at least 1.
    """

    files: dict[str, bytes]
    scale: int

    def grid(self, picture: Picture, title: str, note: str) -> Grid:
        """Return a picture under a title."""
        data = self.files[picture.file]
        width, height = _png_size(data)
        return Grid(
            title=title,
            note=note,
            alt=f"Grid of sample images, {_seen(picture)}",
            width=width * self.scale,
            height=height * self.scale,
            data=base64.b64encode(data).decode(),
        )


def _seen(picture: Picture) -> str:
    """Return what a picture shows, for those who cannot see it: whose copy it is, and how it was made."""
    made = ""
    if picture.attack is not None:
        made = f" by {picture.attack}"
        made += f" from {counted(picture.query_budget, 'bought image')}" if picture.query_budget else ""
    seed = "" if picture.seed is None else f", seed {picture.seed}"
    behind = "" if picture.defence is None else f", behind {picture.defence}"
    who = "" if picture.adversary is None else f", adversary {picture.adversary}"
    along = "" if picture.attribute is None else f" of {picture.attribute}"
    rows = f", a row each of {', '.join(picture.rows)}" if picture.rows else ""
    return f"{picture.columns} a row: {SHOWN[picture.subject]}{along}{made}{seed}{behind}{who}{rows}"


def open_gallery(results: AuditResults, directory: Path) -> Gallery:
    """Read the pictures from below `directory`. Raises DataError if one is absent or is not a PNG file."""
    files = {picture.file: _read_png(directory / picture.file) for picture in results.pictures}
    return Gallery(files, _scale(results.pictures, [_png_size(data) for data in files.values()]))


def grid_rows(results: AuditResults, gallery: Gallery) -> list[GridRow]:
    """Return real images and the target, then a row for each attack with its copies by budget."""
    several_seeds = len(seeds(results)) > 1

    def row(heading: str, pictures: Sequence[Picture]) -> GridRow:
        return GridRow(
            heading, tuple(gallery.grid(p, *_caption(results, p, several_seeds)) for p in pictures)
        )

    order = ("real", "target", "noise")
    originals = sorted(
        (p for p in results.pictures if p.subject in order), key=lambda p: order.index(p.subject)
    )
    of_copies = [p for p in results.pictures if p.subject == "substitute"]
    copied = {
        label: sorted(
            (p for p in of_copies if p.attack == label), key=lambda p: (p.query_budget or 0, p.seed or 0)
        )
        for label in dict.fromkeys([*labels(results), *(p.attack for p in of_copies if p.attack is not None)])
    }
    rows = [row("Real images and the target", originals)] if originals else []
    for label, pictures in copied.items():
        absent = {budget: why_failed(results, label, budget) for budget in budgets_planned(results, label)}
        grids = [*row("", pictures).grids, *(_absent(budget, why) for budget, why in absent.items() if why)]
        if grids:
            rows.append(GridRow(f"Copies: {label}", tuple(grids)))
    return rows


def _absent(budget: int, why: str) -> Grid:
    return Grid(f"Copy from {counted(budget, 'image')}: failed", why, "", GRID_WIDTH, 0, "")


def _caption(results: AuditResults, picture: Picture, several_seeds: bool) -> tuple[str, str]:
    """Return what a grid shows, and the fidelity of that copy, with its seed if several were measured."""
    if picture.subject != "substitute":
        return picture.subject.capitalize(), ""
    title = "Copy" if picture.query_budget is None else f"Copy from {counted(picture.query_budget, 'image')}"
    seed = f"seed {picture.seed}" if several_seeds and picture.seed is not None else ""
    if picture.attack is None or picture.query_budget is None:
        return title, seed
    found = of_copy(results, picture.attack, picture.query_budget, DISTANCE, "target")
    summary = summarise([m for m in found if picture.seed is None or m.seed == picture.seed])
    return title, ", ".join(filter(None, [f"fidelity FD {number(summary.mean)}" if summary else "", seed]))


def _scale(pictures: Sequence[Picture], sizes: Sequence[tuple[int, int]]) -> int:
    """Return the CSS pixels for the side of one image pixel: whole, at least 1, the same for every grid."""
    if not sizes:
        return 1
    tile = max(max(picture.tile) for picture in pictures)
    return max(1, min(GRID_WIDTH // max(width for width, _ in sizes), TILE_SIDE // tile))


def _read_png(path: Path) -> bytes:
    try:
        data = _first_bytes(path, LARGEST_GRID + 1) if path.is_file() else b""
        problem = "is not a PNG file" if data else "no such file"
    except OSError as refusal:
        data, problem = b"", f"cannot be read ({refusal.strerror})"
    if not (
        data.startswith(_PNG)
        and data[12:16] == b"IHDR"
        and len(data) <= LARGEST_GRID
        and all(_png_size(data))
    ):
        raise DataError(
            f"{path}: {problem}. The results name it as a grid of images. Run the audit again to draw it."
        )
    return data


def _first_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _png_size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels, from the header; 0 if it is cut off."""
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
