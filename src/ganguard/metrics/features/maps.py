"""Feature maps of an image at several scales, through which gradients flow: what a projected D looks at."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.errors import MetricError
from ganguard.base.images import composed_floats
from ganguard.metrics.features.network import FeatureSettings, load_features

Maps = tuple[Tensor, ...]
"""Feature maps (N, K, h, w) of the same images, from the finest to the coarsest scale."""


@runtime_checkable
class GivesMaps(Protocol):
    """A feature network that gives its maps, too."""

    def maps(self, images: Tensor) -> Maps:
        """Return the maps of images (N, C, H, W) float in [-1, 1]. Gradients flow to the images."""
        ...


def require_maps(settings: FeatureSettings) -> None:
    """Raise MetricError, before it is loaded, unless a network gives maps and need not be trained first."""
    if not settings.gives_maps:
        raise MetricError(
            f"{settings.kind} gives no feature maps that a discriminator could look at. Set features: "
            "efficientnet_lite0, or random_network."
        )


def maps_of(
    settings: FeatureSettings, channels: int, compute: Compute
) -> tuple[Callable[[Tensor], Maps], str]:
    """Return a function from float images (N, C, H, W) in [-1, 1] to their maps, and a digest of the network.

    The network lies on the device of `compute`, and is never changed. Images with opacity lie before a white
    background.

    Raises MetricError as `require_maps` does, and what loading the network raises.
    """
    require_maps(settings)
    network = load_features(settings, Path(), channels)
    if not isinstance(network, GivesMaps):
        raise MetricError(f"{settings.kind} says that it gives feature maps, and its network has none.")
    digest = tensor_digest(network.state_dict())
    network.to(compute.torch_device()).eval().requires_grad_(False)
    giving: GivesMaps = network
    return lambda images: giving.maps(composed_floats(images)), digest
