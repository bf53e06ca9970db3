"""The tools of defences: the feature networks of `metrics`, made for images with some number of channels."""

from ganguard.base.compute import Compute
from ganguard.defences.protocol import Tools
from ganguard.metrics.features.network import differentiable, version_of


def tools_for(channels: int, compute: Compute) -> Tools:
    """Return what defences of images with so many channels may need."""
    return Tools(lambda settings: differentiable(settings, channels, compute), version_of)
