"""Watch a training: at intervals, measure how far G's images are from real ones that it does not see."""

from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.image_rows import ImageRows, Images
from ganguard.comparison.embedding import network_of
from ganguard.metrics import frechet_distance
from ganguard.metrics.features.extraction import extract_stream
from ganguard.metrics.features.network import Standardisation, extract
from ganguard.training.early_stopping import Watch


def watch_by_distance(held_out: Images, features: str, compute: Compute, *, every: int) -> Watch:
    """Return a watch that takes the Fréchet distance of G's images to real ones.

    Args:
        held_out: the real images, (M, C, H, W) uint8; rows of a map are read in parts.
        features: names the feature network as `ganguard measure --features` does. If it has no scale, that of
            the real images is taken.
        every: steps between two looks.

    Raises InputError as `network_of` does.
    """
    _, network, given = network_of(features, held_out.shape[1], compute)
    parts = held_out.parts() if isinstance(held_out, ImageRows) else [held_out]
    found = extract_stream(network, parts, compute)
    scale = given or Standardisation.fit(found, "the held-out set")
    theirs = scale(found)
    # A scale that was fitted follows from the network and the images, but for its last bits, which threads
    # may change.
    said = {"mean": given.mean, "std": given.std} if given else {}
    judged_by = content_key(frechet=tensor_digest({**network.state_dict(), **said, "held out": held_out}))
    return Watch(
        lambda images: frechet_distance(scale(extract(network, images, compute)), theirs),
        every,
        judged_by=judged_by,
    )
