from collections.abc import Callable

import pytest
import torch

from ganguard.base.errors import TargetError
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, WhiteBoxTarget, require_answer


@pytest.mark.parametrize("latent", [False, True])
@pytest.mark.parametrize("white", [False, True])
def test_capabilities_are_told_apart(ramp: Callable[..., object], latent: bool, white: bool) -> None:
    target = ramp(latent=latent, white=white)
    assert isinstance(target, BlackBoxTarget)
    assert isinstance(target, LatentTarget) is latent
    assert isinstance(target, WhiteBoxTarget) is white


def test_a_right_answer_passes_unchanged(ramp: Callable[..., BlackBoxTarget]) -> None:
    images = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)
    assert require_answer(images, ramp(), 3) is images


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (3, 3, 4, 4), (3, 1, 8, 8), (3, 16), (0, 1, 4, 4)])
def test_another_shape_is_refused(ramp: Callable[..., BlackBoxTarget], shape: tuple[int, ...]) -> None:
    with pytest.raises(TargetError, match=r"uint8 images \(3, 1, 4, 4\)") as caught:
        require_answer(torch.zeros(shape, dtype=torch.uint8), ramp(), 3)
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.int8, torch.bool])
def test_anything_but_bytes_is_refused(ramp: Callable[..., BlackBoxTarget], dtype: torch.dtype) -> None:
    """Numbers beyond 255, or below 0, would be wrapped around when they are stored."""
    with pytest.raises(TargetError, match=str(dtype)):
        require_answer(torch.zeros(3, 1, 4, 4, dtype=dtype), ramp(), 3)
