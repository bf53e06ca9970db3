"""What copies are compared with class by class, and that digests tell one name of a class from another."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganguard.audit.plan.ground_work import NoInputs, RealSettings
from ganguard.audit.steps.by_class import ClassYardsticks, Seen, read_class_yardsticks
from ganguard.audit.steps.call import StepCall
from ganguard.audit.steps.known_files import write_known
from ganguard.audit.steps.real import load_real, run_real
from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.labels import Labels, labelled_digest
from ganguard.base.progress import silent
from ganguard.data.image_folder import ImageFolder
from ganguard.results.measures import WITHIN

NAMES = ("cat", "dog", "owl")


def rows(count: int, seed: int) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def yardsticks(asked: tuple[str, ...] = NAMES, names: tuple[str, ...] = NAMES) -> ClassYardsticks:
    """Both draws are of the first two classes; the reference split has all three."""
    draws = tuple(Seen(rows(20, seed), torch.arange(20) % 2, None) for seed in range(2))
    return ClassYardsticks(names, asked, NAMES, draws, Seen(rows(30, 2), torch.arange(30) % 3, None))


def within(found: ClassYardsticks, copy: Seen) -> list[str | None]:
    return [
        m.condition
        for m in found.compare("substitute", copy, 1)
        if m.metric == WITHIN and m.against == "reference"
    ]


def test_the_mean_is_over_the_classes_that_the_audit_asks_for() -> None:
    copy = Seen(rows(20, 3), torch.arange(20) % 2, None)
    assert within(yardsticks(), copy) == ["cat", "dog"]
    assert within(yardsticks(("cat", "dog")), copy) == [None, "cat", "dog"]
    assert within(yardsticks(("dog",)), copy) == [None, "dog"]


def test_a_class_that_is_asked_for_and_short_leaves_no_mean() -> None:
    short = Seen(rows(20, 3), (torch.arange(20) == 0).long(), None)
    assert within(yardsticks(("cat", "dog")), short) == ["cat"]


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = yardsticks(("dog", "owl"))
    written.write(tmp_path)
    points = [seen.features for seen in (*written.draws, written.reference)]
    found = read_class_yardsticks(tmp_path, points)
    assert found is not None and (found.names, found.asked) == (NAMES, ("dog", "owl"))
    assert torch.equal(found.reference.classes, written.reference.classes)  # type: ignore[arg-type]


def test_their_digest_tells_names_apart(tmp_path: Path) -> None:
    others = (
        yardsticks(),
        yardsticks(("cat", "dog")),
        yardsticks(names=("cat", "dog", "emu")),
        replace(yardsticks(), classifier=("0", "1", "2")),
    )
    assert len({each.write(tmp_path) for each in others}) == len(others)


def test_a_digest_without_names_is_that_of_the_tensors() -> None:
    tensors = {"images": rows(2, 0)}
    assert labelled_digest(tensors) == labelled_digest(tensors, classes=()) == tensor_digest(tensors)
    named = {labelled_digest(tensors, classes=names) for names in (("a", "b"), ("b", "a"), ("ab",))}
    assert len({tensor_digest(tensors), *named, labelled_digest(tensors, asked=("a", "b"))}) == 5


def real_digest(directory: Path, names: tuple[str, ...]) -> str:
    """The digest of four images; they are in folders of these names if there are any."""
    for number in range(4):
        file = directory / "set" / (names[number % 2] if names else "") / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 50 * (number % 2) + number // 2, np.uint8)).save(file)
    (step := directory / "step").mkdir()
    settings = RealSettings(dataset=ImageFolder(path=str(directory / "set")), fingerprint="x")
    return run_real(StepCall(settings, NoInputs(), step, directory, Compute(), silent))["result"]


def test_real_images_whose_classes_have_other_names_are_other_real_images(tmp_path: Path) -> None:
    one = real_digest(tmp_path / "1", ("cat", "dog"))
    other = real_digest(tmp_path / "2", ("eel", "fox"))
    assert real_digest(tmp_path / "3", ("cat", "dog")) == one != other
    pixels = [load_real(tmp_path / name / "step").images for name in ("1", "2")]
    assert torch.equal(*pixels)
    plain = real_digest(tmp_path / "4", ())
    real = load_real(tmp_path / "4" / "step")
    assert real.labels is None
    tensors = {"images": real.images, "train": real.train, "reference": real.reference}
    assert plain == tensor_digest(tensors)


def test_known_images_have_the_names_of_their_classes_in_their_digest(tmp_path: Path) -> None:
    own, judged, numbers = rows(2, 0), rows(1, 1), torch.tensor([0, 1])
    plain = write_known(tmp_path, own, judged)
    assert plain == tensor_digest({"own": own, "judged": judged})
    labelled = {
        write_known(tmp_path, own, judged, Labels(numbers, names)) for names in (("a", "b"), ("b", "a"))
    }
    assert len({plain, *labelled}) == 3
