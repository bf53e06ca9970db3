"""The bodies that a gateway and its clients exchange over HTTP, defined once for both.

Images travel as NPZ, one array `images` (N, C, H, W) uint8, or within JSON as PNG files in base64.
"""

import io
import json
import math
import re
import zipfile
from base64 import b64encode
from typing import IO, Annotated, Literal

import numpy as np
import torch
from numpy.lib import format as npy
from numpy.typing import NDArray
from pydantic import AfterValidator, FailFast, Field
from torch import Tensor
from typing_extensions import TypeAliasType

from ganguard.base.codecs import encode_png
from ganguard.base.errors import TargetError
from ganguard.base.images import CHANNELS
from ganguard.base.settings import LARGEST, MOST_SIDE, Name, Settings, one_line
from ganguard.targets.conditions import Conditions
from ganguard.targets.prior import FARTHEST, NORMAL, Known

IMAGES = "/v1/images"
ACCOUNT = "/v1/account"
IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 128  # characters of an idempotency key
MOST_COUNT = 1 << 20  # images of a request, however it is configured
NPZ = "application/x-npz"

# What the header of an NPY file says of the type, the order and the shape of its array.
_UINT8 = re.compile(r"['\"]descr['\"]\s*:\s*['\"][|<>=]?u1['\"]")
_ORDER = re.compile(r"['\"]fortran_order['\"]\s*:\s*(True|False)")
_SHAPE = re.compile(r"['\"]shape['\"]\s*:\s*\(([\d,\s]{1,100})\)")

Format = Literal["png", "npz"]
Entry = Annotated[float, Field(strict=True, ge=-FARTHEST, le=FARTHEST)]
# The first error is enough: collecting one for each of a million wrong entries would block all other clients.
Code = TypeAliasType("Code", Annotated[list[Entry], Field(min_length=1), FailFast()])
Codes = TypeAliasType("Codes", Annotated[list[Code], Field(min_length=1), FailFast()])


def _known(channels: int) -> int:
    if channels not in CHANNELS:
        raise ValueError(f"must be 1 to {max(CHANNELS)} channels")
    return channels


Channels = Annotated[int, AfterValidator(_known)]
Images = Annotated[int, Field(ge=0, lt=1 << 63)]  # as many as a ledger can hold
Side = Annotated[int, Field(ge=1, le=MOST_SIDE)]


class ImagesRequest(Settings):
    """A request for `count` images.

    Attributes:
        count: number of images; may be left out with latents.
        seed: seed of the images, for accounts that may choose it; without one the server draws.
        start: the request is for images `start`, `start + 1`, … of that seed.
        latents: the codes themselves, (count, latent_dim), for accounts that may send them.
        format: how the images are sent.
    """

    count: Annotated[int, Field(strict=True, ge=1, le=MOST_COUNT)] | None = None
    seed: Annotated[int, Field(strict=True, ge=0, le=LARGEST)] | None = None
    start: Annotated[int, Field(strict=True, ge=0, le=LARGEST // 2)] = 0
    latents: Codes | None = None
    format: Format = "png"


class ConditionalRequest(ImagesRequest):
    """A request for `count` images of a conditional target.

    Attributes:
        count: number of images; may be left out with latents, or with a list of conditions.
        seed: seed of the images, for accounts that may choose it; without one the server draws.
        start: the request is for images `start`, `start + 1`, … of that seed.
        latents: the codes themselves, (count, latent_dim), for accounts that may send them.
        format: how the images are sent.
        condition: what is asked for, by name: one name for all images, or a list with a name for each. The
            account's answer lists the names. Without any, all are asked for equally often, at random.
    """

    condition: Name | Annotated[list[Name], Field(min_length=1, max_length=MOST_COUNT)] | None = None


class ImagesAnswer(Settings):
    """The answer to a request in PNG format.

    Attributes:
        idempotency_key: a request with this key gets the same images again, free of charge.
        images: PNG files in base64, in the order of the request.
    """

    idempotency_key: str
    images: list[str]


class Scopes(Settings):
    """What a key may do.

    Attributes:
        most_images: largest number of images in one request.
    """

    send_latents: bool = False
    choose_seed: bool = False
    most_images: Annotated[int, Field(ge=1, le=1 << 20)] = 64
    admin: bool = False


class Served(Settings):
    """What a gateway serves to an account.

    Attributes:
        identity: changes whenever the images of a seed may have changed.
        latent_dim: entries of the codes that may be sent; None if none may be sent.
        prior: how the gateway draws codes; None if only its own code can.
    """

    identity: str
    image_shape: tuple[Channels, Side, Side]
    latent_dim: Annotated[int, Field(ge=1, le=1 << 20)] | None
    prior: Known | None = NORMAL


class AccountAnswer(Settings):
    """The state of an account, in images: `budget`, what is `spent` of it, and what is `left`."""

    account: str
    budget: Images
    spent: Images
    left: Images
    scopes: Scopes
    target: Served


class ConditionalServed(Served):
    """What a gateway serves to an account, if it can be asked for something.

    Attributes:
        identity: changes whenever the images of a seed may have changed.
        latent_dim: entries of the codes that may be sent; None if none may be sent.
        prior: how the gateway draws codes; None if only its own code can.
        conditions: what it can be asked for.
    """

    conditions: Conditions


class ConditionalAccount(AccountAnswer):
    """The state of an account of a conditional target, in images: `budget`, what is `spent` of it, and what
    is `left`."""

    target: ConditionalServed


class Problem(Settings):
    """An error, in the form of RFC 9457.

    Attributes:
        type: "urn:ganguard:problem:…" for refusals that clients must tell apart.
        budget: images, if the budget is the problem.
        spent: images, if the budget is the problem.
        left: images, if the budget is the problem; if the rate is, the images that may be requested now.
        idempotency_key: the key under which the request may be repeated, if it was taken as an order.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    budget: int | None = None
    spent: int | None = None
    left: int | None = None
    idempotency_key: str | None = None


def to_npz(images: Tensor) -> bytes:
    """Return images (N, C, H, W) uint8 as an NPZ file; the same images give the same bytes."""
    stream = io.BytesIO()
    np.savez(stream, images=images.numpy())
    return stream.getvalue()


def from_npz(content: bytes, count: int, image_shape: tuple[int, int, int]) -> Tensor:
    """Return the `count` images of an NPZ file, (count, C, H, W) uint8.

    Raises TargetError if it holds anything else.
    """
    wanted = (count, *image_shape)
    try:
        return torch.from_numpy(_unpacked(content, wanted))
    except Exception as problem:  # noqa: BLE001 - on a stranger's bytes, the parsers may raise anything
        why = one_line(str(problem), 200) or type(problem).__name__
        raise TargetError(
            f"the gateway must answer with uint8 images {wanted} as NPZ; got something else ({why})."
        ) from None


def _unpacked(content: bytes, wanted: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the array `images`, whose header is checked before anything is unpacked.

    Raises the errors of zipfile and NumPy.
    """
    size = math.prod(wanted)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.getinfo("images.npy")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("it is neither stored nor deflated")
        with archive.open(entry) as member:
            by_column = _by_column(member, wanted)
            images = bytearray(member.read(size + 1))  # bounded, since an entry may lie about its size
    if len(images) != size:
        raise ValueError(f"it does not hold {size:,} bytes")
    return np.frombuffer(images, np.uint8).reshape(wanted, order="F" if by_column else "C")


def _by_column(member: IO[bytes], wanted: tuple[int, ...]) -> bool:
    """Read the header of a uint8 array of the wanted shape, and return whether it lies in Fortran's order.

    NumPy reads the header as Python. CPython 3.11 counts the depth of such parsing for all threads together,
    and fails when two meet (cpython issue 106905), so that clients on several threads would lose what they
    paid for. What is wanted is known here, and is read without a parser.

    Raises ValueError if it is of anything else.
    """
    if (version := npy.read_magic(member)) != (1, 0):
        raise ValueError(f"its NPY is of version {version}")
    header = member.read(int.from_bytes(member.read(2), "little")).decode("latin1")
    order, shape = _ORDER.search(header), _SHAPE.search(header)
    sides = tuple(int(side) for side in shape[1].split(",") if side.strip()) if shape else ()
    if not _UINT8.search(header) or not order or sides != wanted:
        raise ValueError(one_line(f"it holds {header}", 200))
    return order[1] == "True"


def to_json(idempotency_key: str, images: Tensor) -> bytes:
    """Return images (N, C, H, W) uint8 as the JSON of an ImagesAnswer, written piece by piece.

    So it takes memory for one body and one image at most, not for several forms of all of them.
    """
    stream = io.BytesIO()
    stream.write(f'{{"idempotency_key":{json.dumps(idempotency_key)},"images":['.encode())
    for number, image in enumerate(images):
        stream.write(b',"' if number else b'"')
        stream.write(b64encode(encode_png(image)))
        stream.write(b'"')
    stream.write(b"]}")
    return stream.getvalue()
