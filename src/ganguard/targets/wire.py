"""The bodies that a gateway and its clients exchange over HTTP, in one place for both.

Images travel as NPZ, one array `images` (N, C, H, W) uint8, or within JSON as PNG files in base64.
"""

import io
import math
import zipfile
from base64 import b64encode
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import AfterValidator, FailFast, Field
from torch import Tensor
from typing_extensions import TypeAliasType

from ganguard.base.codecs import encode_png
from ganguard.base.errors import TargetError
from ganguard.base.settings import LARGEST, MOST_SIDE, Settings, one_line

IMAGES = "/v1/images"
ACCOUNT = "/v1/account"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 128  # characters of an idempotency key
FARTHEST = 1000.0  # of an entry of a code: no prior reaches it, and no network overflows on it
NPZ = "application/x-npz"

Format = Literal["png", "npz"]
Entry = Annotated[float, Field(strict=True, ge=-FARTHEST, le=FARTHEST)]
# One complaint is enough: of a million wrong entries, a million would be collected while nobody else is
# served.
Code = TypeAliasType("Code", Annotated[list[Entry], Field(min_length=1), FailFast()])
Codes = TypeAliasType("Codes", Annotated[list[Code], Field(min_length=1), FailFast()])


def _grey_or_colour(channels: int) -> int:
    if channels not in (1, 3):
        raise ValueError("must be 1 or 3 channels")
    return channels


Channels = Annotated[int, AfterValidator(_grey_or_colour)]
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


class ImagesRequest(Settings):
    """What a client asks for: `count` images.

    seed, start: image `start + i` of that seed, for accounts that may choose it; without a seed the server
    draws one.
    latents: the codes themselves, (count, latent_dim), for accounts that may send them; `count` may then be
    left out.
    """

    count: Annotated[int, Field(strict=True, ge=1, le=1 << 20)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=LARGEST)] | None = None
    start: Annotated[int, Field(strict=True, ge=0, le=LARGEST // 2)] = 0
    latents: Codes | None = None
    format: Format = "png"


class ImagesAnswer(Settings):
    """images: PNG files in base64, in the order asked for. idempotency_key: asks for the same images again,
    free."""

    idempotency_key: str
    images: list[str]


class Scopes(Settings):
    """What a key may do. most_images: in one request."""

    send_latents: bool = False
    choose_seed: bool = False
    most_images: Annotated[int, Field(ge=1)] = 64
    admin: bool = False


class Served(Settings):
    """What a gateway serves to an account. identity: changes whenever the images of a seed may. latent_dim:
    of codes that may be sent, drawn from N(0, I); None where none may."""

    identity: str
    image_shape: tuple[Channels, Side, Side]
    latent_dim: Annotated[int, Field(ge=1)] | None


class AccountAnswer(Settings):
    """Where an account stands, in images: `budget`, `spent` of it, and `left`."""

    account: str
    budget: int
    spent: int
    left: int
    scopes: Scopes
    target: Served


class Problem(Settings):
    """What went wrong, as RFC 9457 has it. budget, spent, left: in images, where the budget is the problem;
    `left` alone where the rate is, of what may be asked for now."""

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
    """The `count` images of an NPZ file, (count, C, H, W) uint8. Raises TargetError where it holds anything
    else."""
    wanted = (count, *image_shape)
    try:
        return torch.from_numpy(_unpacked(content, wanted))
    except Exception as problem:  # noqa: BLE001 - bytes of a stranger's: what the parsers of them raise has no end
        why = one_line(str(problem), 200) or type(problem).__name__
        raise TargetError(
            f"the gateway must answer with uint8 images {wanted} as NPZ; what came is none ({why})."
        ) from None


def _unpacked(content: bytes, wanted: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array `images`, whose header must fit before any of it is unpacked. Raises whatever zipfile and
    NumPy do."""
    size = math.prod(wanted)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo("images.npy")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is neither stored nor deflated")
        with archive.open(entry) as member:
            if (version := npy.read_magic(member)) != (1, 0):
                raise ValueError(f"its NPY is of version {version}")
            shape, by_column, dtype = npy.read_array_header_1_0(member)
            if shape != wanted or dtype != np.uint8:
                raise ValueError(one_line(f"it holds {dtype} {shape}", 200))
            images = bytearray(
                member.read(size + 1)
            )  # bounded: what an entry says of its own size is not believed
    if len(images) != size:
        raise ValueError(f"it does not hold {size:,} bytes")
    return np.frombuffer(images, np.uint8).reshape(wanted, order="F" if by_column else "C")


def to_base64(images: Tensor) -> list[str]:
    """Images (N, C, H, W) uint8 as PNG files in base64."""
    return [b64encode(encode_png(image)).decode() for image in images]
