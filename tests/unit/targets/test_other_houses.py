"""Weights of other packages: what they give is what the packages' own networks gave."""

from pathlib import Path

import numpy as np
import pytest
import torch
from other_house_samples import (
    ASKED,
    CONDITIONAL_DISCRIMINATORS,
    CONDITIONAL_GENERATORS,
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
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
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
    D = discriminator_of(weights_of(shapes), layout, side, 0).eval()
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


@pytest.mark.parametrize("name", CONDITIONAL_GENERATORS)
def test_networks_of_classes_give_what_their_own_packages_give(name: str) -> None:
    (of_G, images), (of_D, scores) = CONDITIONAL_GENERATORS[name], CONDITIONAL_DISCRIMINATORS[name]
    layout, y = layout_of(weights_of(of_G)), torch.tensor(ASKED)
    G = generator_of(weights_of(of_G), layout, None).eval()
    D = discriminator_of(weights_of(of_D), layout, 32, G.classes).eval()
    assert (G.classes, D.classes) == (4, 4)
    with torch.no_grad():
        assert G(codes(), y)[:, :, 16, 10].flatten().tolist() == pytest.approx(floats(images), abs=3e-4)
        assert D(images_of(32), y).tolist() == pytest.approx(floats(scores), rel=1e-4)
    one = generator_of(weights_of(of_G), layout, ASKED[0]).eval()
    with torch.no_grad():
        assert torch.allclose(one(codes()[:1]), G(codes(), y)[:1], atol=3e-4)


@pytest.mark.parametrize("name", ["mimicry", pytest.param("StudioGAN", marks=pytest.mark.slow)])
def test_a_gan_of_classes_is_asked_for_them(name: str, tmp_path: Path, compute: Compute) -> None:
    netG = saved(tmp_path / "g.pth", {"state_dict": weights_of(CONDITIONAL_GENERATORS[name][0])})
    netD = saved(tmp_path / "d.pth", {"state_dict": weights_of(CONDITIONAL_DISCRIMINATORS[name][0])})
    said = {"state_dict": str(netG), "discriminator": str(netD)}
    target = load_target(parse_target(said), compute)
    assert isinstance(target, WhiteBoxModuleTarget)
    assert target.conditions is not None
    assert target.conditions.names == ("0", "1", "2", "3")
    z, y = target.draw_latents(range(4), seed=0), torch.arange(4)
    images = target.generate(z, conditions=y)
    assert not torch.equal(images, target.generate(z, conditions=y.flip(0)))
    scores = target.discriminator.scores(images, y)
    assert not torch.equal(scores, target.discriminator.scores(images, y.flip(0)))
    named = load_target(parse_target({**said, "classes": ["cat", "dog", "owl", "bee"]}), compute)
    assert isinstance(named, WhiteBoxModuleTarget)
    assert torch.equal(images, named.generate(z, conditions=y))
    one = load_target(parse_target({"state_dict": str(netG), "label": 2}), compute)
    assert isinstance(one, ModuleTarget)
    assert one.conditions is None
    assert (one.generate(z)[2].int() - images[2].int()).abs().max() <= 1


def test_classes_that_do_not_fit_weights_are_refused(tmp_path: Path, compute: Compute) -> None:
    of_classes = saved(tmp_path / "g.pth", {"state_dict": generator_weights("StudioGAN 32, of classes")})
    plain = mimicry_file(tmp_path)
    netD = saved(tmp_path / "d.pth", {"state_dict": weights_of(CONDITIONAL_DISCRIMINATORS["mimicry"][0])})
    targets = [
        load_target(parse_target({"state_dict": str(of_classes), "label": k}), compute) for k in (0, 1)
    ]
    assert targets[0].identity != targets[1].identity
    for weights, settings, said in (
        (of_classes, {"label": 4}, "images of 4 classes: set `label` to 0 … 3, or leave it out"),
        (of_classes, {"classes": 5}, "which is asked for 4; got 5"),
        (of_classes, {"classes": 4, "label": 1}, "which is asked for 0 beside label; got 4"),
        (plain, {"label": 1}, "knows no classes; got label 1"),
        (plain, {"classes": 4}, "which is asked for 0; got 4"),
        (plain, {"discriminator": str(netD)}, "those of a discriminator in mimicry's layout"),
    ):
        with pytest.raises(TargetError, match=said) as raised:
            load_target(parse_target({"state_dict": str(weights), **settings}), compute)
        assert "\n" not in str(raised.value)


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
