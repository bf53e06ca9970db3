"""A conditional target whose classes differ in how much their images vary."""

import torch
from torch import Tensor

from ganguard.base.seeds import normal
from ganguard.targets.conditions import Conditions


class Varied:
    """Images of "still" are nearly alike, and those of "wild" are not."""

    identity, image_shape = "varied", (1, 4, 4)
    conditions = Conditions(names=("still", "wild"))

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        assert conditions is not None
        noise = normal(seed, "images", indices, 16) * torch.tensor([2.0, 40.0])[conditions][:, None]
        return (128 + noise).clamp(0, 255).to(torch.uint8).view(-1, 1, 4, 4)
