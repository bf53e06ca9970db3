"""The bodies that a gateway and its clients exchange over HTTP, in one place for both.

Images travel as NPZ, one array `images` (N, C, H, W) uint8, or within JSON as PNG files in base64.
"""

import io
import zipfile
import zlib
from base64 import b64encode
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import FailFast, Field
from torch import Tensor
from typing_extensions import TypeAliasType

from ganguard.base.codecs import encode_png
from ganguard.base.errors import TargetError
from ganguard.base.settings import LARGEST, Settings

IMAGES = "/v1/images"
ACCOUNT = "/v1/account"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 128  # characters of an idempotency key
FARTHEST = 1000.0  # of an entry of a code: no prior reaches it, and no network overflows on it
NPZ = "application/x-npz"

Format = Literal["png", "npz"]
Entry = Annotated[float, Field(strict=True, ge=-FARTHEST, le=FARTHEST)]
# One complaint is enough: of a million wrong entries, a million would be collected while nobody else is served.
Code = TypeAliasType("Code", Annotated[list[Entry], Field(min_length=1), FailFast()])
Codes = TypeAliasType("Codes", Annotated[list[Code], Field(min_length=1), FailFast()])


class ImagesRequest(Settings):
    """What a client asks for: `count` images.

    seed, start: image `start + i` of that seed, for accounts that may choose it; without a seed the server draws one.
    latents: the codes themselves, (count, latent_dim), for accounts that may send them; `count` may then be left out.
    """

    count: Annotated[int, Field(strict=True, ge=1, le=1 << 20)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=LARGEST)] | None = None
    start: Annotated[int, Field(strict=True, ge=0, le=LARGEST // 2)] = 0
    latents: Codes | None = None
    format: Format = "png"


class ImagesAnswer(Settings):
    """images: PNG files in base64, in the order asked for. idempotency_key: asks for the same images again, free."""

    idempotency_key: str
    images: list[str]


class Scopes(Settings):
    """What a key may do. most_images: in one request."""

    send_latents: bool = False
    choose_seed: bool = False
    most_images: Annotated[int, Field(ge=1)] = 64
    admin: bool = False


class Served(Settings):
    """What a gateway serves to an account. identity: changes whenever the images of a seed may. latent_dim: of codes that may
    be sent, drawn from N(0, I); None where none may."""

    identity: str
    image_shape: tuple[int, int, int]
    latent_dim: int | None


class AccountAnswer(Settings):
    """Where an account stands, in images: `budget`, `spent` of it, and `left`."""

    account: str
    budget: int
    spent: int
    left: int
    scopes: Scopes
    target: Served


class Problem(Settings):
    """What went wrong, as RFC 9457 has it. budget, spent, left: in images, where the budget is the problem; `left` alone where
    the rate is, of what may be asked for now."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    budget: int | None = None
    spent: int | None = None
    left: int | None = None


def to_npz(images: Tensor) -> bytes:
    """Images (N, C, H, W) uint8 as an NPZ file; the same images make the same bytes."""
    stream = io.BytesIO()
    np.savez(stream, images=images.numpy())
    return stream.getvalue()


def from_npz(content: bytes, count: int, image_shape: tuple[int, int, int]) -> Tensor:
    """The `count` images of an NPZ file, (count, C, H, W) uint8. Raises TargetError where it holds anything else."""
    wanted, largest = (count, *image_shape), count * int(np.prod(image_shape)) + 4096
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:  # whose header is not believed about its size
            if sum(entry.file_size for entry in archive.infolist()) > largest:
                raise ValueError(f"it would unpack to more than {largest:,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            images = arrays["images"]
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as problem:
        raise TargetError(f"the gateway must answer with images {wanted} as NPZ; what came is none ({problem}).") from None
    if images.dtype != np.uint8 or images.shape != wanted:
        raise TargetError(f"the gateway must answer with uint8 images {wanted}; got {images.dtype} {images.shape}.")
    return torch.from_numpy(images)


def to_base64(images: Tensor) -> list[str]:
    """Images (N, C, H, W) uint8 as PNG files in base64."""
    return [b64encode(encode_png(image)).decode() for image in images]
