"""Weights of other packages: what they give is what the packages' own networks gave."""

from pathlib import Path

import numpy as np
import pytest
import torch
from other_house_samples import (
    DISCRIMINATORS,
    GENERATORS,
    LABEL,
    codes,
    floats,
    generator_weights,
    images_of,
    mimicry_file,
    saved,
    weights_of,
)

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.targets.load import fingerprint, load_target, parse_target
from ganguard.targets.module import WhiteBoxModuleTarget
from ganguard.targets.other_houses.layouts import discriminator_of, generator_of, layout_of
from ganguard.targets.protocol import WhiteBoxTarget


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_gives_what_its_own_package_gives(name: str) -> None:
    side, _, wanted = GENERATORS[name]
    weights = generator_weights(name)
    label = LABEL if "classes" in name else None
    G = generator_of(weights, layout_of(weights), label).eval()
    with torch.no_grad():
        images = G(codes())
    assert images.shape == (3, 3, side, side)
    assert images[:, :, side // 2, side // 3].flatten().tolist() == pytest.approx(floats(wanted), abs=3e-4)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_discriminator_gives_what_its_own_package_gives(name: str) -> None:
    """Its first ReLU of a block writes into the block's input, which the shortcut sees."""
    side, shapes, wanted = DISCRIMINATORS[name]
    layout = layout_of(generator_weights(name))
    D = discriminator_of(weights_of(shapes), layout, side).eval()
    with torch.no_grad():
        scores = D(images_of(side))
    assert scores.tolist() == pytest.approx(floats(wanted), rel=1e-4)


def test_weights_that_torch_normalises_spectrally_are_divided(tmp_path: Path) -> None:
    plain = generator_weights("StudioGAN 32")
    stem = "blocks.1.0.conv2d1.weight"
    u, v = torch.ones(8) / 8**0.5, torch.zeros(72).index_fill(0, torch.tensor([3]), 1.0)
    W = plain[stem]
    divided = plain | {f"{stem}_orig": W, f"{stem}_u": u, f"{stem}_v": v}
    del divided[stem]
    expected = plain | {stem: W / (u @ W.flatten(1) @ v)}
    layout = layout_of(plain)
    images = [generator_of(weights, layout, None).eval()(codes()) for weights in (divided, expected)]
    assert torch.equal(*images)


def test_both_files_of_a_gan_become_a_white_box(tmp_path: Path, compute: Compute) -> None:
    """As mimicry and StudioGAN save them: an optimiser beside the weights, and NumPy's numbers."""
    D = weights_of(DISCRIMINATORS["mimicry 32"][1])
    beside = {"best_fid": np.float64(3.5), "step": 5, "run_name": "us", "topk": "initialize"}
    netD = saved(tmp_path / "netD.pth", {"state_dict": D, "optimizer": None, **beside})
    said = {"state_dict": str(mimicry_file(tmp_path)), "discriminator": str(netD)}
    settings = parse_target(said)
    assert parse_target(settings.model_dump(mode="json")) == settings
    target = load_target(settings, compute)
    assert isinstance(target, WhiteBoxModuleTarget)
    assert (target.latent_dim, target.image_shape) == (6, (3, 32, 32))
    images = target.sample(range(70), seed=0)
    assert torch.equal(images[60:], target.sample(range(60, 70), seed=0))
    assert target.discriminator.scores(images).shape == (70,)
    assert target.discriminator.features(images[:3]).shape == (3, 8)
    assert target.discriminator.module().training is False
    black = load_target(parse_target({"state_dict": said["state_dict"]}), compute)
    assert not isinstance(black, WhiteBoxTarget)
    assert fingerprint(settings) != fingerprint(parse_target({"state_dict": said["state_dict"]}))


def test_a_generator_of_classes_is_a_target_of_one(tmp_path: Path, compute: Compute) -> None:
    file = saved(tmp_path / "g.pth", {"state_dict": generator_weights("StudioGAN 32, of classes")})
    targets = [load_target(parse_target({"state_dict": str(file), "label": k}), compute) for k in (0, 1)]
    images = [target.sample(range(3), seed=0) for target in targets]
    assert not torch.equal(*images)
    assert targets[0].identity != targets[1].identity
    for settings in ({}, {"label": 4}):
        with pytest.raises(TargetError, match="makes images of 4 classes, and a target is of one"):
            load_target(parse_target({"state_dict": str(file), **settings}), compute)
    with pytest.raises(TargetError, match="knows no classes; got label 1"):
        load_target(parse_target({"state_dict": str(mimicry_file(tmp_path)), "label": 1}), compute)


def test_settings_that_do_not_fit_are_refused(tmp_path: Path, compute: Compute) -> None:
    file = str(mimicry_file(tmp_path))
    with pytest.raises(TargetError, match=r"its codes are rows of 6 numbers; got \[128\]"):
        load_target(parse_target({"state_dict": file, "latent_dim": 128}), compute)
    with pytest.raises(TargetError, match="those of a discriminator in mimicry's layout"):
        load_target(parse_target({"state_dict": file, "discriminator": file}), compute)
    with pytest.raises(SpecError, match="label"):
        parse_target({"state_dict": file, "label": -1})
    prior = load_target(parse_target({"state_dict": file, "prior": "uniform", "latent_dim": 6}), compute)
    assert prior.sample(range(3), seed=0).shape == (3, 3, 32, 32)
