"""Where the images of a training lie, and how a batch of them comes to the device."""

import math

import torch
from torch import Tensor

from ganguard.base.image_rows import ImageRows, Images

SHARE = 0.5  # of the memory that is free on a CUDA device: the rest is left to networks and their gradients


def placed(images: Images, device: torch.device) -> Images:
    """Images (N, C, H, W) uint8 where a step finds them fastest: all of them on a CUDA device where they take
    at most half of what is free there; otherwise where they are, in memory or in a file that is mapped,
    whence each batch goes over."""
    if device.type != "cuda" or not fits(images.shape, torch.cuda.mem_get_info(device)[0]):
        return images
    return moved(images, device)


def fits(shape: tuple[int, ...], free: int) -> bool:
    """Whether images (N, C, H, W) uint8 shall lie on a device with so many bytes free."""
    return math.prod(shape) <= SHARE * free


def moved(images: Images, device: torch.device) -> Tensor:
    """All images on a device; rows of a map go there some at a time."""
    if isinstance(images, Tensor):
        return images.to(device)
    held, room = 0, torch.empty(images.shape, dtype=torch.uint8, device=device)
    for part in images.parts():
        room[held : held + len(part)] = part
        held += len(part)
    return room


def batch(images: Images, places: Tensor, device: torch.device) -> Tensor:
    """The images at places (n,) int64, on a device: (n, C, H, W) uint8."""
    if isinstance(images, ImageRows):
        return images[places].to(device)
    return images[places.to(images.device)].to(device)
