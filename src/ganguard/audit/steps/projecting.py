"""What projected discriminators look at: the feature maps of networks that a step loads."""

from ganguard.base.compute import Compute
from ganguard.metrics.features.maps import maps_of
from ganguard.metrics.features.network import parse_features
from ganguard.training.projected import Projected, Projection, Projects


def projecting(channels: int, compute: Compute) -> Projects:
    """Return the maker of what a projected D looks at, for images of so many channels.

    The maker raises InputError if there is no such network, or it gives no feature maps.
    """

    def make(said: Projected) -> Projection:
        maps, digest = maps_of(parse_features(said.features), channels, compute)
        return Projection(maps, digest)

    return make
