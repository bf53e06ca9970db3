"""Images of a data set as a target."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.base.codecs import encode_png
from ganguard.base.compute import Compute
from ganguard.base.errors import DataError, SpecError, TargetError
from ganguard.queries.bought_before import bought_before
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask, asked_of
from ganguard.targets.conditions import Conditions, conditions_of, sample
from ganguard.targets.load import load_target, parse_target
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten images of one grey each: 0, 10, ... 90."""
    (tmp_path / "mine").mkdir()
    for grey in range(10):
        (tmp_path / "mine" / f"{grey}.png").write_bytes(
            encode_png(torch.full((1, 8, 8), 10 * grey, dtype=torch.uint8))
        )
    return tmp_path / "mine"


def _load(folder: Path, compute: Compute) -> BlackBoxTarget:
    said = {"images": {"kind": "image_folder", "path": str(folder), "size": 8, "channels": 1}}
    settings = parse_target(said)
    assert parse_target(settings.model_dump(mode="json")) == settings
    return load_target(settings, compute)


def test_each_image_is_one_of_them_and_as_likely(folder: Path, compute: Compute) -> None:
    target = _load(folder, compute)
    assert target.image_shape == (1, 8, 8)
    assert not isinstance(target, LatentTarget)
    drawn = target.sample(range(5000), seed=0)
    assert drawn.dtype == torch.uint8
    assert torch.equal(drawn, drawn[:, :, :1, :1].expand_as(drawn))
    counts = torch.bincount(drawn[:, 0, 0, 0].long() // 10, minlength=10)
    assert counts.sum() == 5000
    assert ((counts - 500).abs() < 5 * 500**0.5).all()


def test_an_image_follows_from_seed_and_index_alone(folder: Path, compute: Compute) -> None:
    target = _load(folder, compute)
    whole = target.sample(range(100), seed=1)
    assert torch.equal(
        torch.cat([target.sample(range(37), seed=1), target.sample(range(37, 100), seed=1)]), whole
    )
    assert not torch.equal(target.sample(range(100), seed=2), whole)


def test_it_is_known_by_its_images(folder: Path, compute: Compute) -> None:
    before = _load(folder, compute).identity
    assert _load(folder, compute).identity == before
    (folder / "0.png").write_bytes(encode_png(torch.full((1, 8, 8), 255, dtype=torch.uint8)))
    assert _load(folder, compute).identity != before


def test_what_holds_no_images_is_refused(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(DataError, match="nowhere"):
        _load(tmp_path / "nowhere", compute)
    with pytest.raises(SpecError, match="unknown data set"):
        parse_target({"images": "digit"})


def test_in_order_each_image_is_had_once_whatever_the_seed(folder: Path, compute: Compute) -> None:
    settings = parse_target({"images": str(folder), "in_order": True})
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, compute)
    assert target.sample(range(10), seed=3)[:, 0, 0, 0].tolist() == list(range(0, 100, 10))
    assert torch.equal(target.sample(range(4, 6), seed=9), target.sample(range(10), seed=0)[4:6])
    assert target.identity != load_target(parse_target({"images": str(folder)}), compute).identity
    with pytest.raises(TargetError, match="10 images were bought before; 11 are wanted"):
        target.sample(range(5, 11), seed=0)


@pytest.mark.parametrize("absent", ["no/such/folder", "digitz", ""])
def test_a_text_that_is_no_path_and_no_data_set_is_refused(absent: str) -> None:
    with pytest.raises(SpecError, match="data set"):
        parse_target({"images": absent})


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """Three images of cats, in greys from 0, and one of a dog, of grey 200."""
    for name, greys in (("cat", (0, 10, 20)), ("dog", (200,))):
        (tmp_path / "animals" / name).mkdir(parents=True)
        for grey in greys:
            content = encode_png(torch.full((1, 8, 8), grey, dtype=torch.uint8))
            (tmp_path / "animals" / name / f"{grey}.png").write_bytes(content)
    return tmp_path / "animals"


def test_images_of_a_class_are_drawn_if_clients_may_ask_for_them(classes: Path, compute: Compute) -> None:
    settings = parse_target({"images": str(classes), "by_class": True})
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, compute)
    known = conditions_of(target)
    assert known is not None
    assert known.names == ("cat", "dog")
    asked = torch.arange(600) % 2
    drawn = sample(target, range(600), seed=0, conditions=asked)
    greys = drawn[:, 0, 0, 0]
    assert set(greys[asked == 1].tolist()) == {200}
    assert torch.bincount(greys[asked == 0].long() // 10).tolist() == pytest.approx([100, 100, 100], abs=45)
    part = sample(target, range(5, 9), seed=0, conditions=asked[5:9])
    assert torch.equal(part, drawn[5:9])
    plain = load_target(parse_target({"images": str(classes)}), compute)
    assert conditions_of(plain) is None
    assert plain.identity == target.identity
    assert torch.equal(plain.sample(range(9), seed=1), target.sample(range(9), seed=1))
    with pytest.raises(TargetError, match="takes none"):
        sample(plain, range(2), seed=0, conditions=torch.tensor([0, 1]))


def test_classes_that_are_not_there_cannot_be_asked_for(folder: Path, compute: Compute) -> None:
    with pytest.raises(TargetError, match="by_class: the images have no classes"):
        load_target(parse_target({"images": str(folder), "by_class": True}), compute)
    with pytest.raises(SpecError, match="by_class has nothing to act on if in_order is set"):
        parse_target({"images": str(folder), "by_class": True, "in_order": True})


THREE = Conditions(names=("owl", "dog", "cat"))


class Asked:
    """A target of three classes."""

    identity, image_shape, conditions = "asked", (1, 8, 8), THREE

    def sample(self, indices: range, *, seed: int) -> torch.Tensor:
        return torch.zeros(len(indices), *self.image_shape, dtype=torch.uint8)


def _harvested(tmp_path: Path, names: list[str]) -> Path:
    store = Store(tmp_path / "harvest", "them", "us", 0, ask=Ask())
    store.create()
    greys = torch.arange(len(names), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8)
    for start in range(0, len(names), 2):
        store.write(start, greys[start : start + 2], None, names[start : start + 2])
    return tmp_path / "harvest"


@pytest.mark.parametrize("names", [["cat", "owl", "cat", "dog"], ["dog", "dog", "dog"]])
def test_a_harvest_keeps_what_its_images_were_asked_for(
    tmp_path: Path, names: list[str], compute: Compute
) -> None:
    directory = str(_harvested(tmp_path, names))
    images = load_target(parse_target({"images": directory, "in_order": True}), compute)
    assert conditions_of(images) is None
    bought = bought_before(Asked(), images)
    store = Store(tmp_path / "again", bought.identity, "us", 0)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_account("us", len(names))
        kept = harvest(meter(bought, ledger, "us"), store, len(names))
    assert kept[:, 0, 0, 0].tolist() == list(range(len(names)))
    assert Store.open(tmp_path / "again").read_conditions(len(names)) == names
    one = Ask(only=("cat",))
    with pytest.raises(TargetError, match="were bought before, for conditions of their own"):
        harvest(bought, Store(tmp_path / "other", bought.identity, "us", 0, ask=one), 2)
    with pytest.raises(TargetError, match="none can be had for others"):
        bought.sample(range(2), seed=0, conditions=torch.tensor([0, 0]))


def test_a_folder_of_classes_is_a_purchase_of_them(classes: Path, compute: Compute) -> None:
    images = load_target(parse_target({"images": str(classes), "in_order": True}), compute)
    bought = bought_before(Asked(), images)
    known = conditions_of(bought)
    assert known is not None
    assert known.given == (2, 2, 2, 1)
    asked = asked_of(bought, None, range(1, 4), seed=5)
    assert asked is not None
    assert THREE.said(asked) == ["cat", "cat", "dog"]
    assert bought.sample(range(1, 4), seed=5, conditions=asked)[:, 0, 0, 0].tolist() == [10, 20, 200]


def test_a_purchase_is_compared_with_what_the_target_can_be_asked_for(
    classes: Path, folder: Path, ramp: Callable[..., BlackBoxTarget], compute: Compute
) -> None:
    (classes / "dog").rename(classes / "dogs")
    of_classes = load_target(parse_target({"images": str(classes), "in_order": True}), compute)
    with pytest.raises(TargetError, match="has images of 'dogs', which the target cannot be asked for"):
        bought_before(Asked(), of_classes)
    assert conditions_of(bought_before(ramp(), of_classes)) is None  # and nobody asks for classes
    without = load_target(parse_target({"images": str(folder), "in_order": True}), compute)
    assert conditions_of(bought_before(Asked(), without)) is None
