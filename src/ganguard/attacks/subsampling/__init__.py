"""Keep the generated images that look most like real ones: density ratios, and samplers that follow them."""

from ganguard.attacks.subsampling.crossed import CrossFitted, cross_fit
from ganguard.attacks.subsampling.density_ratio import JudgedRatio, fit_density_ratio
from ganguard.attacks.subsampling.discriminator_rejection import Accepted, discriminator_rejection
from ganguard.attacks.subsampling.importance_resampling import (
    Resampled,
    effective_sample_size,
    importance_resampling,
)
from ganguard.attacks.subsampling.metropolis_hastings import Chains, metropolis_hastings
from ganguard.attacks.subsampling.proposals import Pool, Propose
from ganguard.attacks.subsampling.within_clusters import within_clusters

__all__ = [
    "Accepted",
    "Chains",
    "CrossFitted",
    "JudgedRatio",
    "Pool",
    "Propose",
    "Resampled",
    "cross_fit",
    "discriminator_rejection",
    "effective_sample_size",
    "fit_density_ratio",
    "importance_resampling",
    "metropolis_hastings",
    "within_clusters",
]
