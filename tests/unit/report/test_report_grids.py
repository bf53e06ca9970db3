"""Sample images in the report: in order, at one scale, embedded as they are."""

import base64
import io
import re
from pathlib import Path

import pytest
from PIL import Image
from report_samples import draw_grids, make_results, page

from ganguard.base.errors import DataError
from ganguard.report import write_report
from ganguard.report.grids import grid_rows, open_gallery


def test_grids_share_one_whole_scale_and_come_in_order(tmp_path: Path) -> None:
    results = make_results()
    draw_grids(results, tmp_path)
    first, *rest = grid_rows(results, open_gallery(results, tmp_path))
    assert [grid.title for grid in first.grids] == ["Real", "Target"]
    assert [row.heading for row in rest] == ["Copies: fidelity sngan", "Copies: fidelity dcgan"]
    assert [grid.title for grid in rest[0].grids] == [
        f"Copy from {b} images" for b in ("200", "1,000", "5,000")
    ]
    assert rest[0].grids[0].note.startswith("fidelity FD 3")
    scales = set()
    for grid in (*first.grids, *rest[0].grids, *rest[1].grids):
        image = Image.open(io.BytesIO(base64.b64decode(grid.data)))
        scales |= {grid.width / image.width, grid.height / image.height}
    assert scales == {4.0}


def test_grids_of_several_seeds_say_which_and_give_their_own_distance(tmp_path: Path) -> None:
    results = make_results(seeds=2, draws=1)
    copied = [p for p in results.pictures if p.attack == "fidelity sngan" and p.query_budget == 200]
    pictures = tuple(copied[0].model_copy(update={"seed": seed, "file": f"{seed}.png"}) for seed in (1, 0))
    results = results.model_copy(update={"pictures": pictures})
    draw_grids(results, tmp_path)
    (row,) = grid_rows(results, open_gallery(results, tmp_path))
    assert [grid.note[-6:] for grid in row.grids] == ["seed 0", "seed 1"]
    assert row.grids[0].note[:-6] != row.grids[1].note[:-6]


def test_large_tiles_are_not_enlarged_and_not_shrunk(tmp_path: Path) -> None:
    plain = make_results().pictures[0].model_copy(update={"tile": (64, 64)})
    results = make_results(pictures=(plain,))
    draw_grids(results, tmp_path)
    assert grid_rows(results, open_gallery(results, tmp_path))[0].grids[0].width == 8 * 65 - 1


def test_every_picture_is_embedded_as_it_is(tmp_path: Path) -> None:
    results = make_results()
    text = page(results, tmp_path)
    embedded = {base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", text)}
    assert embedded == {(tmp_path / picture.file).read_bytes() for picture in results.pictures}


def test_a_picture_that_is_absent_or_no_png_is_named(tmp_path: Path) -> None:
    results = make_results()
    with pytest.raises(DataError, match=r"target\.png: no such file"):
        write_report(results, tmp_path)
    draw_grids(results, tmp_path)
    (tmp_path / "grids" / "real.png").write_bytes(b"GIF89a")
    with pytest.raises(DataError, match=r"real\.png: is not a PNG file"):
        write_report(results, tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_alternative_texts_name_the_copy_and_what_is_seen(tmp_path: Path) -> None:
    results = make_results()
    copied = next(p for p in results.pictures if p.attack == "fidelity sngan" and p.query_budget == 200)
    behind = copied.model_copy(
        update={"query_budget": 1, "defence": "JPEG 30", "adversary": "naive", "file": "d.png"}
    )
    results = results.model_copy(update={"pictures": (*results.pictures, behind)})
    draw_grids(results, tmp_path)
    gallery = open_gallery(results, tmp_path)
    texts = {gallery.grid(picture, "", "").alt for picture in results.pictures}
    assert len(texts) == len(results.pictures)
    grid = "Grid of sample images, 8 a row:"
    copied_by = f"{grid} images of the copy made by fidelity sngan from"
    assert texts >= {
        f"{grid} real images",
        f"{grid} images of the target",
        f"{copied_by} 200 bought images, seed 0",
        f"{copied_by} 1 bought image, seed 0, behind JPEG 30, adversary naive",
    }
