"""The memory that an order takes while its images are made and sent."""

import math

from ganguard.targets.protocol import BlackBoxTarget, LatentTarget

BYTES_A_VALUE = 8
BYTES_AN_ENTRY = 100
BYTES_AN_IMAGE = 2048


def bytes_an_image(target: BlackBoxTarget) -> int:
    """Return the bytes that an order takes for each image."""
    entries = target.latent_dim if isinstance(target, LatentTarget) else 0
    values = math.prod(target.image_shape)
    return BYTES_A_VALUE * values + BYTES_AN_ENTRY * entries + BYTES_AN_IMAGE
