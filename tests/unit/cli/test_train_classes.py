"""`ganguard train` of an architecture with classes, which takes them from its data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganguard.architectures.checkpoint import read_description

Cli = Callable[..., tuple[int, str, str]]
CPU = ("--device", "cpu", "--steps", "1", "--set", "batch_size=4", "--set", "n_dis=1")


def conditional(classes: int, kind: str = "sngan") -> tuple[str, str]:
    return "--set", f"architecture={{kind: {kind}, width: 2, classes: {classes}}}"


def write_images(folder: Path, counts: dict[str, int]) -> None:
    """Write that many images of each class to a folder of its name."""
    random = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def test_the_names_of_the_classes_are_those_of_the_data(cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("train", "digits", "--out", "mine", *CPU, *conditional(10))
    assert code == 0, err
    names = read_description(tmp_path / "mine" / "checkpoint").class_names
    assert names == tuple("0123456789")
    write_images(tmp_path / "pets", {"dog": 20, "cat": 20})
    code, _, err = cli("train", "pets", "--out", "pet", *CPU, *conditional(2, "acgan"))
    assert code == 0, err
    assert read_description(tmp_path / "pet" / "checkpoint").class_names == ("cat", "dog")


def test_an_architecture_without_classes_takes_no_labels(cli: Cli, tmp_path: Path) -> None:
    plain = ("--set", "architecture={kind: sngan, width: 2}")
    code, _, err = cli("train", "digits", "--out", "mine", *CPU, *plain)
    assert code == 0, err
    assert read_description(tmp_path / "mine" / "checkpoint").class_names is None


@pytest.mark.parametrize(
    ("counts", "classes", "said"),
    [
        ({"cat": 20, "dog": 20}, 3, "sngan has 3 classes, and the images have 2. Set classes: 2."),
        ({"cat": 20, "dog": 20}, 1, "sngan has 1 classes, and the images have 2. Set classes: 2."),
        ({".": 20}, 2, "sngan has 2 classes, and the images have none. Leave `classes` out."),
    ],
)
def test_data_of_other_classes_are_refused_in_one_line(
    cli: Cli, tmp_path: Path, counts: dict[str, int], classes: int, said: str
) -> None:
    if "." in counts:
        (tmp_path / "pets").mkdir()
        write_images(tmp_path / "there", {"x": counts["."]})
        for file in (tmp_path / "there" / "x").iterdir():
            file.rename(tmp_path / "pets" / file.name)
    else:
        write_images(tmp_path / "pets", counts)
    code, out, err = cli("train", "pets", "--out", "mine", *CPU, *conditional(classes))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "mine").exists()


def test_classes_of_a_name_alone_are_refused_with_what_to_write(cli: Cli) -> None:
    code, _, err = cli(
        "train", "digits", "--out", "mine", "--architecture", "sngan", "--set", "architecture.classes=10"
    )
    assert (code, "architecture={kind: sngan, classes: …}" in err) == (2, True), err


def test_what_has_no_classes_says_so(cli: Cli) -> None:
    code, _, err = cli("train", "digits", "--out", "mine", *CPU, *conditional(10, "pggan"))
    assert (code, "pggan.classes: unknown key" in err) == (2, True), err
    assert len(err.strip().splitlines()) == 1


def test_a_training_goes_on_with_its_classes_and_begins_with_no_others(cli: Cli, tmp_path: Path) -> None:
    write_images(tmp_path / "pets", {"cat": 20, "dog": 20})
    write_images(tmp_path / "birds", {"cat": 20, "owl": 20})
    train = ("train", "pets", "--out", "mine", *CPU, *conditional(2))
    assert cli(*train)[0] == 0
    code, _, err = cli(*train, "--steps", "2")
    assert code == 0, err
    begun = ("--beginning", "mine/checkpoint", "--device", "cpu", "--steps", "1")
    code, _, err = cli("train", "pets", "--out", "on", *begun)
    assert code == 0, err
    assert read_description(tmp_path / "on" / "checkpoint").class_names == ("cat", "dog")
    code, _, err = cli("train", "birds", "--out", "other", *begun)
    assert (code, "its class 1 is 'dog', and the images' is 'owl'" in err) == (2, True), err
    code, _, err = cli("train", "digits", "--out", "other", *begun)
    assert (code, "sngan has 2 classes, and the images have 10" in err) == (2, True), err
