from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ganguard.architectures.checkpoint import load_checkpoint, save_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.errors import CheckpointError
from ganguard.base.images import to_uint8
from ganguard.targets.checkpoint import CheckpointTarget


def test_the_identity_is_that_of_the_weights_not_of_the_place(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], compute: Compute
) -> None:
    """A purchase made before a folder was moved must be found again after it."""
    paths = [tiny_checkpoint(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))]
    here, moved, other = (CheckpointTarget(checkpoint=str(path)).load(compute).identity for path in paths)
    assert here == moved
    assert here != other


def test_a_bad_checkpoint_is_refused_by_name(tmp_path: Path, compute: Compute) -> None:
    with pytest.raises(CheckpointError, match="nowhere"):
        CheckpointTarget(checkpoint=str(tmp_path / "nowhere")).load(compute)


@pytest.mark.parametrize("bias", [-9.0, 9.0], ids=["dark", "bright"])
def test_a_gan_that_only_paints_one_shade_is_still_a_target(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], compute: Compute, bias: float
) -> None:
    """The range of our generators is known: bright images are no sign of [0, 1]. Collapsed GANs do occur."""
    found = load_checkpoint(tiny_checkpoint(tmp_path / "before"))
    torch.nn.init.constant_(found.networks.generator.to_image.bias, bias)
    said = found.description
    path = save_checkpoint(tmp_path / "after", found.networks, said.architecture, said.image_shape, {})
    images = CheckpointTarget(checkpoint=str(path)).load(compute).sample(range(3), seed=0)
    assert (images.float().mean() > 127) == (bias > 0)


@pytest.mark.parametrize("kind", ["pggan", "stylegan2"])
def test_images_of_a_gan_without_tanh_are_clamped(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path], compute: Compute, kind: str
) -> None:
    """A Python factory whose images leave [-1, 1] is refused; our own architectures are known to leave it at
    times.
    """
    path = tiny_checkpoint(tmp_path / "gan", kind, (3, 16, 16))
    target = CheckpointTarget(checkpoint=str(path)).load(compute)
    floats = load_checkpoint(path).networks.generator(target.draw_latents(range(64), seed=0))
    assert floats.abs().max() > 1.1
    assert torch.equal(target.sample(range(64), seed=0), to_uint8(floats))
