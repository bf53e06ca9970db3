"""Numbers of pairs are of the images that belong together, however the files lie."""

import json
import shutil
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganguard.base.compute import Compute
from ganguard.base.progress import silent
from ganguard.cli.image_sets import image_set
from ganguard.comparison import image_sets
from ganguard.metrics import psnr
from ganguard.queries.store import Store

Cli = Callable[..., tuple[int, str, str]]


def _pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images, and the same with a little noise: pairs are 40 dB apart or so, and others 10."""
    generator = np.random.default_rng(0)
    a = generator.integers(0, 256, (count, 8, 8), dtype=np.uint8)
    b = np.clip(a.astype(int) + generator.integers(-4, 5, a.shape), 0, 255).astype(np.uint8)
    return a, b


A, B = _pairs(12)
RIGHT = psnr(torch.from_numpy(A)[:, None], torch.from_numpy(B)[:, None])


def _folder(folder: Path, images: np.ndarray, names: list[str]) -> str:
    for name, image in zip(names, images, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return str(folder)


def _numbered(form: str = "{}.png", count: int = 12) -> list[str]:
    return [form.format(number) for number in range(count)]


def _psnr(cli: Cli, a: str, b: str, *options: str) -> tuple[float, dict[str, object]]:
    code, out, err = cli("measure", a, b, "--metrics", "psnr,ssim", *options)
    assert code == 0, err
    return json.loads(out)["psnr"], json.loads(out)["pairs"]


def _refused(cli: Cli, a: str, b: str, *options: str) -> str:
    code, out, err = cli("measure", a, b, "--metrics", "psnr", *options)
    assert (code, out) == (2, "") and "Traceback" not in err
    return err.splitlines()[-1]


def test_files_are_paired_by_their_names(cli: Cli, tmp_path: Path) -> None:
    order = [7, 3, 11, 0, 5, 9, 1, 10, 2, 8, 4, 6]
    a = _folder(tmp_path / "a", A, _numbered())
    b = _folder(tmp_path / "b", B[order], [f"{number}.png" for number in order])
    assert _psnr(cli, a, b) == (pytest.approx(RIGHT.mean().item()), {"count": 12, "by": "name"})


@pytest.mark.parametrize(
    ("in_a", "in_b", "said"),
    [
        (
            _numbered(),
            _numbered("{:04d}.png"),
            "A has 0.png, and B has none of that name (names in A alone: 12; in B",
        ),
        (_numbered(), _numbered()[:5] + _numbered()[6:], "A has 5.png, and B has none"),
        (_numbered()[1:], _numbered(), "B has 0.png, and A has none"),
        (
            _numbered()[1:],
            _numbered()[:-1],
            "B has 0.png, and A has none of that name (names in A alone: 1; in B",
        ),
        (_numbered("x/{}.png"), _numbered("y/{}.png"), "A has x/0.png"),
        (["0.png", "0.bmp"], ["0.png", "0.tif"], "A has 0.bmp"),
    ],
    ids=["zeros", "one lacks one", "the other", "each lacks another", "folders", "ambiguous endings"],
)
def test_names_that_differ_are_refused_with_the_first(
    cli: Cli, tmp_path: Path, in_a: list[str], in_b: list[str], said: str
) -> None:
    a = _folder(tmp_path / "a", A[: len(in_a)], in_a)
    b = _folder(tmp_path / "b", B[: len(in_b)], in_b)
    for options in ([], ["--samples", "2"]):
        assert said in _refused(cli, a, b, *options)


def test_samples_takes_the_same_images_of_both(cli: Cli, tmp_path: Path) -> None:
    """Also where the order of the files is another: a-1.png lies before a.png, and after a.bmp."""
    names = ["a", "a-1", *(f"b{number}" for number in range(10))]
    a = _folder(tmp_path / "a", A, [f"{name}.png" for name in names])
    b = _folder(tmp_path / "b", B, [f"{name}.bmp" for name in names])
    for count in (2, 5, 11):
        found, pairs = _psnr(cli, a, b, "--samples", str(count))
        assert found > 37 and pairs == {"count": count, "by": "name without its ending"}


def test_a_zip_and_parquet_have_names_too(cli: Cli, tmp_path: Path, png: Callable[..., bytes]) -> None:
    a = _folder(tmp_path / "a", A, _numbered())
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for number in reversed(range(12)):
            archive.writestr(f"{number}.png", png(B[number]))
    rows = [{"image": {"bytes": png(B[n]), "path": f"{n}.png"}} for n in (3, 1, 2, 0, *range(4, 12))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "b.parquet")
    for b in ("b.zip", "b.parquet"):
        assert _psnr(cli, a, b)[0] == pytest.approx(RIGHT.mean().item())
    rows[0]["image"]["path"] = "1.png"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "twice.parquet")
    assert "A has 3.png" in _refused(cli, a, "twice.parquet")
    assert "2 images of the name 1.png" in _refused(cli, "twice.parquet", "twice.parquet")


def test_one_name_in_two_forms_of_unicode_is_one(cli: Cli, tmp_path: Path) -> None:
    """macOS writes é as two letters."""
    a = _folder(tmp_path / "a", A[:2], ["é.png", "f.png"])
    b = _folder(tmp_path / "b", B[:2], [unicodedata.normalize("NFD", "é.png"), "f.png"])
    assert _psnr(cli, a, b)[0] == pytest.approx(RIGHT[:2].mean().item())


def test_sets_without_names_are_paired_by_place(cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", A[..., None])
    np.savez_compressed(tmp_path / "b.npz", arr_0=B[..., None], arr_1=np.arange(12))
    assert _psnr(cli, "a.npz", "b.npz") == (
        pytest.approx(RIGHT.mean().item()),
        {"count": 12, "by": "place"},
    )
    assert _psnr(cli, "a.npz", "b.npz", "--samples", "4")[0] > 37
    np.savez(tmp_path / "c.npz", B[:9, ..., None])
    assert "got 12 and 9. --samples 9 takes" in _refused(cli, "a.npz", "c.npz")
    assert _psnr(cli, "a.npz", "c.npz", "--samples", "9")[0] == pytest.approx(RIGHT[:9].mean().item())
    a = _folder(tmp_path / "a", A, _numbered())
    assert "is not known: those of A are known by their names, those of B" in _refused(cli, a, "b.npz")


def _harvest(directory: Path, images: np.ndarray, starts: list[tuple[int, int]], seed: int = 0) -> str:
    store = Store(directory, "t", "x", seed)
    store.create()
    for start, stop in starts:
        store.write(start, torch.from_numpy(images[start:stop])[:, None], None)
    return str(directory)


def test_harvests_are_paired_by_index(cli: Cli, tmp_path: Path) -> None:
    a = _harvest(tmp_path / "a", A, [(0, 5), (5, 12)])
    assert _psnr(cli, a, _harvest(tmp_path / "b", B, [(0, 12)])) == (
        pytest.approx(RIGHT.mean().item()),
        {"count": 12, "by": "index"},
    )
    short = _harvest(tmp_path / "short", B, [(0, 5)])
    assert _psnr(cli, a, short, "--samples", "5")[0] == pytest.approx(RIGHT[:5].mean().item())
    gap = _harvest(tmp_path / "gap", B, [(0, 4), (6, 12)])
    assert "different images" in _refused(cli, a, gap, "--samples", "10")
    assert _psnr(cli, a, gap, "--samples", "4")[0] == pytest.approx(RIGHT[:4].mean().item())
    other = _harvest(tmp_path / "other", B, [(0, 12)], seed=1)
    assert "A has seed 0, B has seed 1" in _refused(cli, a, other)


def test_generators_make_pairs_of_the_same_codes(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> None:
    """Their two draws would be of other codes; of one generator with itself, the pairs are equal."""
    one, other = tiny_checkpoint(Path("one")), tiny_checkpoint(Path("other"), seed=1)
    shutil.copytree(one, "same")
    assert "A and B are equal, image by image" in _refused(cli, str(one), "same", "--samples", "9")
    assert _psnr(cli, str(one), str(other), "--samples", "9")[1] == {"count": 9, "by": "code"}
    assert "are made here" in _refused(cli, str(one), "digits", "--samples", "9")


def test_a_set_is_read_in_small_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_sets, "MOST_BYTES", 3 * 64)
    found = image_set(_folder(tmp_path / "a", A, _numbered()), 99, None, Compute(), silent, 0)
    parts: list[Tensor] = list(found.parts())
    assert [len(part) for part in parts] == [3, 3, 3, 3]
    assert sorted(image.flatten().tolist() for image in torch.cat(parts)) == sorted(
        A.reshape(12, -1).tolist()
    )
