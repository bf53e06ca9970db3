"""What the defences share that make a feature network see another image."""

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import BeforeValidator, Field
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.images import to_float
from ganguard.base.settings import LONGEST_VALUE, Plain, one_line
from ganguard.defences.protocol import OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.targets.batching import MICRO_BATCH, in_micro_batches

BYTE = 1 / 127.5  # one step of a byte on the scale of [-1, 1]
# Micro-batches of larger images hold fewer of them, since even a request of one image is filled up to one.
PIXELS_AT_ONCE = MICRO_BATCH * 64 * 64
Network = Callable[[Tensor], Tensor]


class MisleadingNoise(OutputDefence):
    """Base of defences that perturb images so that a feature network sees others.

    Attributes:
        network: the feature network that is misled: its name, or a mapping as in `features`. A network by
            which the audit also measures would flatter the defence; the default differs from those.
    """

    network: Annotated[Plain, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)] = Field(
        default={"kind": "random_network", "seed": 1}, validate_default=True
    )

    def against(self) -> str:
        """Return the end of a label: which network is misled, unless it is a random one."""
        kind = str(self.network.get("kind"))
        return "" if kind == "random_network" else f", against {kind}"

    def require(self, image_shape: tuple[int, int, int], tools: Tools) -> None:
        """Raise InputError if the feature network cannot be made, or cannot see images (C, H, W)."""
        network = self.network_by(tools)
        try:
            network(torch.zeros(1, *image_shape))
        except (RuntimeError, ValueError) as problem:  # torch raises the first, other libraries the second
            channels, height, width = image_shape
            raise SpecError(
                f"{self.kind}: network: {self.network.get('kind')} cannot see images of "
                f"{height}x{width} pixels and {channels} channels ({one_line(problem, LONGEST_VALUE)}). "
                "Choose another network."
            ) from None

    def version(self, tools: Tools) -> dict[str, Any]:
        """Return the version of the defence and of the feature network."""
        return super().version(tools) | {
            "network": tools.version_of(self.network) if tools.version_of else None
        }

    def network_by(self, tools: Tools) -> Network:
        """Return the feature network. Raises SpecError if there is no means of making one."""
        if tools.network_of is None:
            raise SpecError(
                f"{self.kind} needs a feature network, but was given no means of making one: pass "
                "Tools(network_of=...)."
            )
        return tools.network_of(self.network)


def searched(images: Tensor, streams: Streams, search: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return the perturbation of each of images (N, C, H, W) uint8, as floats on the scale of [-1, 1].

    Args:
        images: at least one.
        streams: of each image, from which the search begins.
        search: takes float images, and uniform noise in [-1, 1] of their shape, to perturbations. Gradients
            flow in it. It sees micro-batches of one size, so that no image depends on those beside it.
    """

    def perturb(rows: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            clean, begin = (part.clone() for part in rows.chunk(2, 1))
            return search(clean, begin)

    at_once = max(1, min(MICRO_BATCH, PIXELS_AT_ONCE // images[0, 0].numel()))
    found = torch.empty(images.shape)
    for first in range(0, len(images), at_once):
        part = slice(first, first + at_once)
        start = streams[part].uniform(images[0].numel()).float().mul_(2).sub_(1).view(images[part].shape)
        rows = torch.cat([to_float(images[part]), start], 1)
        found[part] = in_micro_batches(perturb, rows, torch.device("cpu"), at_once)
    return found
