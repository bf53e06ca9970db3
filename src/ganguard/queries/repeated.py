"""Images of a purchase that are the same as others of it: paid for twice, and no help to whoever learns from
them."""

import hashlib

from torch import Tensor

FEW = 0.05  # share of the images that may be the same as others without a word


def repeated(images: Tensor) -> int:
    """Return how many of the images (N, C, H, W) are bit for bit the same as one before them."""
    return len(images) - len({hashlib.sha256(image.numpy().tobytes()).digest() for image in images})


def said_of_repeated(images: Tensor) -> str:
    """Return what is to be said if many of the images (N, C, H, W) are the same as others; "" if few are."""
    if (count := repeated(images)) <= max(1, FEW * len(images)):
        return ""
    return (
        f"{count:,} of these {len(images):,} images are the same as others of them. An API that repeats "
        "itself wants $SEED in its request, or more prompts; a set of images is drawn from with replacement; "
        "another generator has few images to give, or a prior that draws few codes."
    )
