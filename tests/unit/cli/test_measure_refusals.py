"""What a new user gets wrong is refused in one line, whose advice can be followed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganguard.comparison.metric_names import ALIASES, named_metrics
from ganguard.results.measures import of_two_sets

Cli = Callable[..., tuple[int, str, str]]


def _folder(name: str, count: int, shape: tuple[int, ...], level: int | None = None) -> None:
    Path(name).mkdir()
    generator = np.random.default_rng(0)
    for number in range(count):
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels if level is None else np.full(shape, level, np.uint8)).save(
            f"{name}/{number}.png"
        )


def refused(cli: Cli, *arguments: str) -> str:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, ""), (out, err)
    assert "Traceback" not in err
    return err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["measure", "face", "digits"],
            "'face': no such file or folder, and no data set of that name; did",
        ),
        (["measure", "runs/face", "digits"], "'runs/face': no such file or folder"),
        (["train", "./face", "--out", "o"], "did you mean 'faces'?"),
        (["measure", "faces/0.png", "digits"], "one image, and a set of them is wanted. Give the folder"),
        (["measure", "x.tar", "digits"], "x.tar: no file of images that can be read. Give a folder"),
        (["train", "x.npz", "--out", "o"], "can only be measured (`ganguard measure`)"),
        (["measure", "{kind:image_folder}", "digits"], "a space after each colon"),
        (["measure", "{path: faces}", "digits"], "must have the key `kind`"),
        (
            ["audit", "digits", "--dry-run", "--set", "real=no/faces"],
            "'no/faces': no such file or folder, and no data set of that name",
        ),
        (["measure", "mixed", "digits"], "Set `size` (`--size`) to crop and resize them all"),
        (
            ["measure", "large", "faces"],
            "12x12 pixels, those of B 8x8, and they cannot be compared. --size N",
        ),
        (["measure", "made", "digits"], "holds a generator, made/checkpoint, which can be measured"),
        (["train", "made/checkpoint", "--out", "o"], "a generator, and images are wanted. Harvest some"),
        (["measure", "faces", "faces", "--metrics", "fid"], "did you mean 'frechet_distance_unscaled'?"),
        (["measure", "faces", "faces", "--metrics", "PSNR"], "did you mean 'psnr'?"),
        (["measure", "faces", "faces", "--metrics", "prdc"], "mean 'precision,recall,density,coverage'?"),
        (["measure", "faces", "faces", "--metrics", "psnr,"], "a name is empty"),
        (["measure", "faces", "faces", "--metrics", "lpips"], "torchvision. Of pairs of images measure ssim"),
        (["measure", "faces", "faces", "--metrics", "nearest_distance_ratio"], "Measure authenticity"),
        (
            ["measure", "faces", "faces", "--metrics", "niqe"],
            "niqe needs images of at least 16×16 pixels",
        ),
        (["measure", "alike", "alike", "--metrics", "ndb"], "at least 100 different images in B"),
    ],
)
def test_a_mistake_is_one_line(
    cli: Cli, tiny_checkpoint: Callable[..., Path], arguments: list[str], said: str
) -> None:
    _folder("faces", 3, (8, 8))
    _folder("large", 3, (12, 12))
    _folder("mixed", 1, (8, 8))
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("mixed/1.png")
    if "alike" in arguments:
        _folder("alike", 500, (4, 4), 7)
    tiny_checkpoint(Path("made/checkpoint"))
    Path("x.tar").write_bytes(b"")
    np.savez("x.npz", np.zeros((2, 8, 8, 1), np.uint8))
    assert said in refused(cli, *arguments)


def test_the_advice_on_sizes_works(cli: Cli) -> None:
    _folder("a", 8, (12, 10))
    _folder("b", 8, (9, 9, 3))
    assert cli("measure", "a", "b", "--size", "8", "--metrics", "psnr")[0] == 0


def test_every_alias_means_numbers_that_there_are() -> None:
    known = [measure.name for measure in of_two_sets()]
    for alias, meant in ALIASES.items():
        assert alias not in known
        assert named_metrics(meant)[0] == meant.split(",")
