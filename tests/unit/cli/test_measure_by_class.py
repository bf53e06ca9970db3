"""`ganguard measure` of sets whose images have classes: folders, data sets, harvests, conditional targets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.labels import Labels
from ganguard.base.progress import silent
from ganguard.base.seeds import seeded_weights
from ganguard.comparison.image_sets import ImageSet
from ganguard.comparison.sets_by_class import consistency, coverage, within_classes
from ganguard.comparison.two_sets import TwoSets
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.network import FeatureNetwork, extract
from ganguard.metrics.features.random_network import RandomNetwork
from ganguard.queries.store import Store
from ganguard.targets.ask import UNIFORM

Cli = Callable[..., tuple[int, str, str]]
SCHEMA = Path(__file__).parents[3] / "docs" / "measure.schema.json"
INTRA = ("--metrics", "intra_fd", "--scale", "none")


def images(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, 8, 8), generator=generator).to(torch.uint8)


def folder(name: str, pixels: Tensor, classes: tuple[str, ...]) -> str:
    """A folder with a subfolder for each class; image i is of class i mod K."""
    for number, image in enumerate(pixels):
        directory = Path(name) / classes[number % len(classes)]
        directory.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(directory / f"{number:03d}.png")
    return name


def measured(cli: Cli, *arguments: str) -> dict[str, Any]:
    code, out, err = cli("measure", *arguments)
    assert code == 0, err
    said = json.loads(out)
    jsonschema.validate(said, json.loads(SCHEMA.read_text()))
    return said


def refused(cli: Cli, *arguments: str) -> str:
    code, out, err = cli("measure", *arguments)
    assert (code, out) == (2, "") and "Traceback" not in err
    return err.splitlines()[-1]


def test_each_class_of_a_folder_is_measured_against_its_own(cli: Cli) -> None:
    x, y = images(24, 0), images(30, 1)
    said = measured(cli, folder("a", x, ("cat", "dog")), folder("b", y, ("cat", "dog")), *INTRA)
    network = RandomNetwork(kind="random_network").load(Path(), 1)
    for place, name in enumerate(("cat", "dog")):
        mine, theirs = (extract(network, part[place::2], Compute()) for part in (x, y))
        found = said["by_class"]["intra_fd"][name]
        assert found["value"] == pytest.approx(frechet_distance(mine, theirs), rel=1e-6)
        assert found["images"] == 12
    each = [found["value"] for found in said["by_class"]["intra_fd"].values()]
    assert said["intra_fd"] == pytest.approx(sum(each) / 2) and said["images_judged"] == {}


def test_classes_are_matched_by_name_and_not_by_number(cli: Cli) -> None:
    """`b` has the same images under the same names, in folders whose order is another one."""
    x = images(20, 0)
    a = folder("a", x, ("cat", "dog"))
    store = Store(Path("h"), "t", "a", 0, ask=UNIFORM)
    store.create()
    store.write(0, x[:11], None, ["cat", "dog"] * 5 + ["cat"])
    store.write(11, x[11:], None, ["dog", "cat"] * 4 + ["dog"])
    said = measured(cli, a, "h", *INTRA)
    assert said["intra_fd"] == pytest.approx(0, abs=1e-6)
    assert list(said["by_class"]["intra_fd"]) == ["cat", "dog"]
    fewer = measured(cli, "h", "h", *INTRA, "--samples", "13")
    assert [found["images"] for found in fewer["by_class"]["intra_fd"].values()] == [7, 6]


def test_a_conditional_target_is_asked_uniformly(cli: Cli) -> None:
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": 2})
    with seeded_weights(0):
        networks = build_networks(architecture, (1, 8, 8))
    save_checkpoint(Path("gan"), networks, architecture, (1, 8, 8), {}, class_names=("cat", "dog"))
    said = measured(cli, "gan", folder("b", images(40, 1), ("cat", "dog")), *INTRA, "--samples", "40")
    counts = [found["images"] for found in said["by_class"]["intra_fd"].values()]
    assert sum(counts) == 40 and min(counts) > 10
    again = measured(cli, "gan", "gan", "--metrics", "ssim", "--samples", "6")
    assert again["ssim"] == 1  # pairs are of one code and one class


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (("cat", "eel"), "A has 'dog', and B has no image of it. Classes of B: 'cat, eel'."),
        (("cat", "dog", "eel"), "B has 'eel', and A has no image of it."),
        ((".",), "B has no classes. Give a folder with a subfolder for each class"),
    ],
)
def test_sets_of_other_classes_are_refused_in_a_line(cli: Cli, classes: tuple[str, ...], says: str) -> None:
    a = folder("a", images(12, 0), ("cat", "dog"))
    assert says in refused(cli, a, folder("b", images(12, 1), classes), *INTRA)


def test_a_class_of_one_image_is_refused_in_a_line(cli: Cli) -> None:
    a, b = folder("a", images(12, 0), ("cat", "dog")), folder("b", images(3, 1), ("cat", "dog"))
    assert "at least 2 images of each class in each set; of 'dog' A has 6 and B 1." in refused(
        cli, a, b, *INTRA
    )


def test_all_says_why_sets_without_classes_have_no_such_number(cli: Cli) -> None:
    said = measured(cli, folder("a", images(12, 0), (".",)), "a", "--metrics", "all")
    assert said["not_measured"]["intra_fd"].startswith("A has no classes.")
    assert "by_class" not in said and "intra_fd" not in said


def test_names_of_other_programs_lead_to_ours(cli: Cli) -> None:
    assert "did you mean 'intra_fd'?" in refused(cli, "digits", "digits", "--metrics", "intra-FID")


class BrightOrDark(FeatureNetwork):
    """Sees "dark" in images whose mean is below 128, and "bright" in others."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :3]

    def probabilities(self, images: Tensor) -> Tensor:
        bright = (images.flatten(1).mean(1) >= 0).float()
        return torch.stack([bright, 1 - bright], 1)


def two_sets(labels: list[int], levels: list[int], names: tuple[str, ...] = ("dark", "bright")) -> TwoSets:
    """Images of one grey level each, whose classes are `labels`, against one dark and one bright image."""

    def of(grey: list[int]) -> Tensor:
        return torch.tensor(grey, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous()

    a, b = ImageSet.of(of(levels)), ImageSet.of(of([0, 255]))
    a = ImageSet(a.count, a.shape, a.read, classes=Labels(torch.tensor(labels), names))
    return TwoSets(a, b, BrightOrDark(), "none", Compute(), silent, class_names=("bright", "dark"))


def test_consistency_follows_the_names_of_the_classifier() -> None:
    found = consistency(two_sets([0, 0, 1, 1], [0, 255, 255, 250]))
    assert found.value == 0.75 and found.by_class is not None and found.images is None
    assert {name: part.value for name, part in found.by_class.items()} == {"dark": 0.5, "bright": 1.0}


def test_a_classifier_that_does_not_know_a_class_says_which() -> None:
    with pytest.raises(MetricError, match=r"this one knows no 'grey'\. It knows 'bright, dark'"):
        consistency(two_sets([0, 1], [0, 255], ("dark", "grey")))
    unnamed = two_sets([0, 1], [0, 255])
    unnamed = TwoSets(unnamed.a, unnamed.b, unnamed.network, "none", Compute(), silent)
    with pytest.raises(MetricError, match="that says the names of its classes"):
        consistency(unnamed)


@pytest.mark.parametrize(("levels", "share"), [([0, 255], 1), ([0, 1], 0.5)])
def test_coverage_is_judged_by_the_classifier_alone(levels: list[int], share: float) -> None:
    sets = two_sets([0, 0], levels)
    assert coverage(sets).value == share
    with pytest.raises(MetricError, match="B has no classes"):
        within_classes(sets)
