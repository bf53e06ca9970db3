"""The features of an audit, and how they are read in the units that others publish: without a scale."""

from pathlib import Path

from ganguard.base.compute import Compute
from ganguard.comparison.compare import Published
from ganguard.comparison.embedding import Embedding, load_embedding
from ganguard.metrics.features.clip import ClipNetwork
from ganguard.results.measure import Of


def load_published(directory: Path, compute: Compute) -> tuple[Embedding, Published | None]:
    """Load what a features step wrote; no units are published of a network that nobody else has.

    Raises InputError as `load_embedding` does.
    """
    embedding = load_embedding(directory, compute)
    if not embedding.settings.pretrained:
        return embedding, None
    clip: tuple[Of, ...] = ("CLIP features",) if isinstance(embedding.network, ClipNetwork) else ()
    return embedding, Published(embedding.standardise.undo, ("unscaled features", *clip))
