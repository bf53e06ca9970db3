"""A shield around a target: codes and images pass through defences, whoever asks.

The wrapper has just the capabilities of the target inside. D is handed through: it is held, not queried.
Codes that are sent come in requests of REQUEST; the provider's own codes do too, aligned to the image index,
so that image i is the same whatever is asked for beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.seeds import stream_key
from ganguard.defences.protocol import Defence, InputDefence, OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, LatentTarget, WhiteBoxTarget

REQUEST = 64  # codes that an input defence sees at once
LONGEST_SECRET = 64  # bytes


@dataclass(frozen=True)
class Shield:
    """A chain of defences as one client meets it. secret: what their random numbers follow from; only the
    provider holds it."""

    defences: tuple[Defence, ...]
    secret: bytes
    client: str
    tools: Tools

    def move(self, latents: Tensor, streams: "RowStreams") -> Tensor:
        """The codes of one request, (N, d), through every input defence."""
        for place, defence in enumerate(self.defences):
            if isinstance(defence, InputDefence):
                moved = defence.move(latents, streams.of(defence, place))
                if moved.shape != latents.shape:
                    raise TargetError(
                        f"{defence.label()} must keep codes {tuple(latents.shape)}; it gave "
                        f"{tuple(moved.shape)}."
                    )
                latents = moved
        return latents

    def change(self, images: Tensor, streams: "RowStreams") -> Tensor:
        """Images (N, C, H, W) uint8 through every output defence. Raises TargetError where one does not keep
        their shape."""
        for place, defence in enumerate(self.defences):
            if isinstance(defence, OutputDefence):
                changed = defence.change(images, streams.of(defence, place), self.tools)
                if changed.shape != images.shape or changed.dtype != images.dtype:
                    raise TargetError(
                        f"{defence.label()} must keep images {tuple(images.shape)} uint8; it gave "
                        f"{tuple(changed.shape)} {changed.dtype}."
                    )
                images = changed
        return images

    @property
    def moves(self) -> bool:
        """Whether codes are moved."""
        return any(defence.side == "input" for defence in self.defences)

    def streams(self, rows: Sequence[bytes], requests: Sequence[bytes]) -> "RowStreams":
        """rows: what tells each image's code, or the image; requests: what tells each image of each
        request."""
        mine = stream_key(0, "client", self.client)
        return RowStreams(
            Streams.keyed(self.secret, [mine + b"code" + row for row in rows]),
            Streams.keyed(self.secret, [mine + b"request" + row for row in requests]),
        )

    def digest(self) -> str:
        """Of all that images depend on, but for the client: also of code and libraries, so that images that
        were bought before these changed are not taken for those of today."""
        return content_key(
            defences=[defence.said() | {"version": defence.version(self.tools)} for defence in self.defences],
            secret=stream_key(0, "secret", self.secret.hex()).hex(),
        )


@dataclass(frozen=True)
class RowStreams:
    """The streams of some images, by what their defences ask for."""

    per_code: Streams
    per_request: Streams

    def of(self, defence: Defence, place: int) -> Streams:
        """For the defence at a place of the chain."""
        return (self.per_code if defence.randomness == "per_code" else self.per_request).named(f"{place}")

    def __getitem__(self, rows: slice) -> "RowStreams":
        return RowStreams(self.per_code[rows], self.per_request[rows])


class DefendedTarget:
    """A BlackBoxTarget whose images pass through output defences. Its codes are not known: what tells an
    image is what it shows, so that one that comes again, by whatever seed and index, meets the same random
    numbers."""

    def __init__(self, inner: BlackBoxTarget, shield: Shield) -> None:
        self._inner, self._shield = inner, shield
        self.identity = f"{inner.identity}:defended:{shield.digest()}"
        self.image_shape = inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i), and of the
        client."""
        images = self._inner.sample(indices, seed=seed)
        shown = [image.tobytes() for image in images.cpu().numpy()]
        return self._shield.change(
            images, self._shield.streams(shown, [f"{seed}:{i}".encode() for i in indices])
        )

    def rehearse(self) -> None:
        """Defend two made-up images, so that nothing is bought through what does not keep their shape. Raises
        TargetError."""
        self._shield.change(torch.zeros(2, *self.image_shape, dtype=torch.uint8), self._streams_of_none())

    def _streams_of_none(self) -> RowStreams:
        return self._shield.streams([b"rehearsal 0", b"rehearsal 1"], [b"rehearsal 0", b"rehearsal 1"])


class DefendedLatentTarget(DefendedTarget):
    """The same around a LatentTarget, whose codes can be moved as well. `sample(indices, seed)` equals
    `generate(draw_latents(indices, seed))` for whole requests, aligned to the index, and randomness per
    code."""

    def __init__(self, inner: LatentTarget, shield: Shield) -> None:
        super().__init__(inner, shield)
        self._latent = inner
        self.latent_dim = inner.latent_dim

    def rehearse(self) -> None:
        """The same with two codes of zeros before."""
        self._shield.move(torch.zeros(2, self.latent_dim), self._streams_of_none())
        super().rehearse()

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor) -> Tensor:
        """Images of chosen codes (N, latent_dim), REQUEST of which make a request."""
        latents = latents + 0.0  # -0.0 is the same code as 0.0, and shall have the same noise
        asked = tensor_digest({"latents": latents})
        return self._answer(
            latents, [f"{asked}:{row}".encode() for row in range(len(latents))], slice(0, len(latents))
        )

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8; image i is a pure function of (seed, i), and of the client.
        Raises ValueError where indices are not of step 1."""
        if indices.step != 1:
            raise ValueError(f"indices must be a range of step 1; got {indices}")
        start, stop = indices.start, indices.stop
        if self._shield.moves:
            start, stop = start // REQUEST * REQUEST, -(-stop // REQUEST) * REQUEST
        latents = self.draw_latents(range(start, stop), seed=seed)
        requests = [f"{seed}:{i}".encode() for i in range(start, stop)]
        return self._answer(latents, requests, slice(indices.start - start, indices.stop - start))

    def _answer(self, latents: Tensor, requests: list[bytes], wanted: slice) -> Tensor:
        """Images of the wanted rows of codes, which come as whole requests."""
        streams = self._shield.streams([row.tobytes() for row in latents.float().cpu().numpy()], requests)
        if self._shield.moves:
            rows = [slice(i, i + REQUEST) for i in range(0, len(latents), REQUEST)]
            latents = torch.cat([self._shield.move(latents[part], streams[part]) for part in rows])
        return self._shield.change(self._latent.generate(latents[wanted]), streams[wanted])


class DefendedWhiteBoxTarget(DefendedTarget):
    """The same around a WhiteBoxTarget."""

    def __init__(self, inner: WhiteBoxTarget, shield: Shield) -> None:
        super().__init__(inner, shield)
        self.discriminator: Discriminator = inner.discriminator


class DefendedWhiteBoxLatentTarget(DefendedLatentTarget):
    """The same around a target that is both."""

    def __init__(self, inner: LatentTarget, discriminator: Discriminator, shield: Shield) -> None:
        super().__init__(inner, shield)
        self.discriminator = discriminator


def defend(
    target: BlackBoxTarget,
    defences: Sequence[Defence],
    *,
    secret: bytes,
    client: str,
    tools: Tools | None = None,
) -> DefendedTarget:
    """Wrap `target` so that a chain of defences stands before it, as `client` meets it. It can just what the
    target can.

    secret: 1 to 64 bytes. Raises TargetError where a defence moves codes that are out of its reach,
    InputError where one does not fit the target's codes or images.
    """
    if not 1 <= len(secret) <= LONGEST_SECRET:
        raise SpecError(
            f"the secret of a defended target must be of 1 to {LONGEST_SECRET} bytes; got {len(secret)}."
        )
    shield = Shield(tuple(defences), secret, client, tools or Tools())
    _require_fit(target, shield)
    if isinstance(target, LatentTarget):
        if isinstance(target, WhiteBoxTarget):
            return DefendedWhiteBoxLatentTarget(target, target.discriminator, shield)
        return DefendedLatentTarget(target, shield)
    if isinstance(target, WhiteBoxTarget):
        return DefendedWhiteBoxTarget(target, shield)
    return DefendedTarget(target, shield)


def _require_fit(target: BlackBoxTarget, shield: Shield) -> None:
    for defence in shield.defences:
        if isinstance(defence, OutputDefence):
            defence.require(target.image_shape, shield.tools)
        elif isinstance(defence, InputDefence):
            if not isinstance(target, LatentTarget):
                raise TargetError(
                    f"{defence.label()} moves codes, and this target takes none. Defend it by what changes "
                    "images."
                )
            defence.require(target.latent_dim)
