"""Images of 1 to 4 channels and of any sides, all the way: made, metered, defended, stored, read back,
trained on, and measured."""

import io
import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from ganguard.architectures import ARCHITECTURES
from ganguard.base.codecs import decode_image
from ganguard.base.compute import Compute
from ganguard.base.images import colours_of, composed, has_opacity, in_channels, to_float
from ganguard.base.settings import parse
from ganguard.data.parquet_images import ParquetImages
from ganguard.defences.defended_target import defend
from ganguard.defences.protocol import OutputDefence, parse_defence
from ganguard.defences.tools import tools_for
from ganguard.metrics import piqe
from ganguard.metrics.features.network import differentiable, extract, load_features, parse_features
from ganguard.metrics.piqe import luma
from ganguard.queries.harvest import harvest
from ganguard.queries.ledger import Ledger
from ganguard.queries.metered_target import meter
from ganguard.queries.store import Store
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.images import ImagesTarget, PooledImages
from ganguard.targets.protocol import LatentTarget, WhiteBoxTarget
from ganguard.targets.wire import Served, from_npz, to_json, to_npz
from ganguard.training.augment import coloured, diffaugment
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

SHAPES = [(1, 5, 64), (2, 12, 20), (3, 31, 31), (4, 13, 21)]
KINDS = sorted(ARCHITECTURES.builtin)
Shape = tuple[int, int, int]
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=SHAPES, ids=lambda shape: "x".join(map(str, shape)))
def shape(request: pytest.FixtureRequest) -> Shape:
    return request.param


@pytest.fixture
def gan(tiny_checkpoint: Callable[..., Path], tmp_path: Path, shape: Shape) -> LatentTarget:
    return CheckpointTarget(checkpoint=str(tiny_checkpoint(tmp_path / "gan", "dcgan", shape))).load(Compute())


def _images(count: int, shape: Shape, seed: int = 0) -> Tensor:
    coarse = torch.rand(count, shape[0], 4, 4, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(coarse, shape[1:], mode="bilinear") * 255).to(torch.uint8)


def test_a_purchase_is_stored_and_read_back_bit_for_bit(
    gan: LatentTarget, shape: Shape, tmp_path: Path, cli: Cli
) -> None:
    ledger = Ledger(tmp_path / "out" / "ledger.sqlite")
    ledger.open_account("us", 100)
    store = Store(tmp_path / "out", gan.identity, "us", 7)
    harvest(meter(gan, ledger, "us"), store, 70)
    wanted = gan.sample(range(70), seed=7)
    assert torch.equal(store.read(70), wanted)
    bought = parse(ImagesTarget, {"images": str(tmp_path / "out"), "in_order": True}, "purchase")
    assert bought.load(Compute()).image_shape == shape
    assert torch.equal(bought.load(Compute()).sample(range(70), seed=0), wanted)
    dropped = ParquetImages.model_validate({"path": str(tmp_path / "out" / "data"), "alpha": "drop"}).load()
    assert torch.equal(dropped.images, wanted[:, : colours_of(shape[0])])
    np.savez(tmp_path / "b.npz", arr_0=_images(70, shape).permute(0, 2, 3, 1).numpy())
    code, out, err = cli("measure", str(tmp_path / "out"), str(tmp_path / "b.npz"), "--samples", "70")
    assert code == 0, err
    record = json.loads(out)
    assert record["sets"]["A"]["channels"] == record["sets"]["B"]["channels"] == colours_of(shape[0])
    said = "images of A have opacity: they are measured before a white background"
    assert (said in record["notes"]) is has_opacity(shape[0])


@pytest.mark.parametrize(
    "defence",
    [
        {"kind": "jpeg", "quality": 30},
        {"kind": "gaussian_filter", "sigma": 1},
        {"kind": "median_filter", "size": 3},
        {"kind": "gaussian_noise", "std": 0.1},
        {"kind": "adversarial_noise", "budget": 8, "steps": 2},
        {"kind": "carlini_wagner", "distance": 0.5, "steps": 4, "searches": 1},
    ],
    ids=lambda defence: defence["kind"],
)
def test_defences_change_images_and_keep_their_shape(shape: Shape, defence: dict[str, Any]) -> None:
    settings, inner = parse_defence(defence), PooledImages(_images(30, shape), "images")
    target = defend(inner, [settings], secret=b"s", client="us", tools=tools_for(shape[0], Compute()))
    plain, defended = inner.sample(range(10), seed=1), target.sample(range(10), seed=1)
    assert defended.shape == plain.shape
    assert (defended != plain).any()
    floats = to_float(plain).requires_grad_()
    if isinstance(settings, OutputDefence) and "noise" not in settings.kind:
        settings.surrogate(floats).square().sum().backward()
        assert floats.grad is not None
        assert floats.grad.shape == floats.shape
    if defence["kind"] == "jpeg" and has_opacity(shape[0]):
        assert torch.equal(defended[:, -1], plain[:, -1])


def test_the_wire_carries_them(shape: Shape) -> None:
    images = _images(5, shape)
    assert torch.equal(from_npz(to_npz(images), 5, shape), images)
    sent = json.loads(to_json("key", images))["images"]
    for text, image in zip(sent, images, strict=True):
        assert torch.equal(decode_image(b64decode(text), "an image", opacity="held"), image)
        assert np.asarray(Image.open(io.BytesIO(b64decode(text)))).shape[:2] == shape[1:]
    assert Served(identity="a", image_shape=shape, latent_dim=None).image_shape == shape


@pytest.mark.parametrize("channels", [0, 5])
def test_a_gateway_that_serves_other_channels_is_not_believed(channels: int) -> None:
    with pytest.raises(ValidationError, match="1 to 4 channels"):
        Served(identity="a", image_shape=(channels, 8, 8), latent_dim=None)


@pytest.mark.parametrize(("kind", "grow"), [*((kind, True) for kind in KINDS), ("pggan", False)])
def test_a_copy_is_trained(shape: Shape, tmp_path: Path, kind: str, grow: bool) -> None:
    codes, how = {"latent_dim": 5}, {"n_dis": 1, "augment": "diffaugment", "grow": grow}
    if kind == "flow":
        codes, how = {}, {}
    settings = TrainingSettings.model_validate(
        {"architecture": {"kind": kind, "width": 4, **codes}, "steps": 3, "batch_size": 4, **how}
    )
    checkpoint = train_generator(_images(40, shape), settings, tmp_path / "run", seed=0, compute=Compute())
    copy = CheckpointTarget(checkpoint=str(checkpoint)).load(Compute())
    assert copy.image_shape == shape
    assert copy.sample(range(3), seed=0).shape == (3, *shape)
    if isinstance(copy, WhiteBoxTarget):
        assert copy.discriminator.scores(_images(3, shape)).shape == (3,)
    assert isinstance(copy, WhiteBoxTarget) is (kind != "flow")


@pytest.mark.parametrize("channels", [2, 4])
def test_features_are_those_of_the_images_before_white(channels: int) -> None:
    images = _images(20, (channels, 12, 20))
    seen = composed(images)
    for name in ("random_network", "classifier"):
        settings: Any = parse_features(name)
        network = (
            settings.untrained(colours_of(channels), 3)
            if name == "classifier"
            else load_features(settings, Path(), channels)
        )
        assert torch.equal(extract(network, images, Compute()), extract(network, seen, Compute()))
    assert torch.equal(luma(images), luma(seen))
    assert torch.equal(piqe(images), piqe(seen))
    of_floats = differentiable("random_network", channels, Compute())
    floats = to_float(images).requires_grad_()
    features = of_floats(floats)
    network = load_features(parse_features("random_network"), Path(), channels)
    assert torch.allclose(features, network.features(to_float(seen)), atol=0.02)
    features.sum().backward()
    assert floats.grad is not None
    assert (floats.grad[:, -1] != 0).any()


@pytest.mark.parametrize("channels", [2, 4])
def test_augmentation_changes_colours_and_moves_opacity_with_them(channels: int) -> None:
    images = to_float(_images(8, (channels, 16, 24)))
    random = torch.rand(8, 7, generator=torch.Generator().manual_seed(0))
    changed = coloured(images, random[:, :3])
    assert torch.equal(changed[:, -1], images[:, -1])
    assert torch.equal(changed[:, :-1], coloured(images[:, :-1], random[:, :3]))
    moved = diffaugment(images, random)
    alone = diffaugment(
        images[:, -1:].expand(-1, 3, -1, -1), torch.cat([random[:, :3] * 0 + 0.5, random[:, 3:]], 1)
    )
    assert torch.allclose(moved[:, -1], alone[:, 0], atol=1e-6)


@pytest.mark.parametrize(("one", "other"), [(1, 1), (1, 4), (2, 2), (2, 3), (3, 4), (4, 4)])
def test_sets_of_any_channels_are_measured_together(one: int, other: int, tmp_path: Path, cli: Cli) -> None:
    for seed, (name, channels) in enumerate((("a", one), ("b", other))):
        array = in_channels(_images(30, (4, 16, 24), seed), channels).permute(0, 2, 3, 1).numpy()
        np.savez(tmp_path / f"{name}.npz", arr_0=array)
    wanted = ("--metrics", "frechet_distance,psnr,piqe", "--samples", "30")
    code, out, err = cli("measure", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), *wanted)
    assert code == 0, err
    record = json.loads(out)
    channels = max(colours_of(one), colours_of(other))
    assert [record["sets"][name]["channels"] for name in "AB"] == [channels, channels]
    assert sum("opacity" in note for note in record["notes"]) == has_opacity(one) + has_opacity(other)


def test_files_are_resized_to_any_size_on_the_command_line(tmp_path: Path, cli: Cli) -> None:
    for seed, name in enumerate("ab"):
        (tmp_path / name).mkdir()
        for number, image in enumerate(_images(20, (3, 30, 40), seed)):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{number}.png")
    code, out, err = cli("measure", "a", "b", "--size", "20x12", "--metrics", "psnr")
    assert code == 0, err
    assert [json.loads(out)["sets"]["A"][side] for side in ("width", "height")] == [20, 12]
    code, _, err = cli(
        "train", "a", "--size", "20x12", "--out", "run", "--set", "steps=1", "--set", "batch_size=4"
    )
    assert code == 0, err
    assert CheckpointTarget(checkpoint="run/checkpoint").load(Compute()).image_shape == (3, 12, 20)
