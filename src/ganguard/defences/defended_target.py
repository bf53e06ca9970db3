"""A shield around a target: codes and images pass through defences, whoever asks.

The wrapper has exactly the capabilities of the target inside. D is handed through, since it is held, not
queried. Codes that a client sends are defended in requests of REQUEST. So are the provider's own codes, in
requests aligned to the image index, so that image i does not depend on what else is requested.
"""

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ganguard.base.cache import canonical_json, content_key
from ganguard.base.errors import SpecError, TargetError
from ganguard.defences.protocol import Defence, InputDefence, OutputDefence, Tools
from ganguard.defences.streams import Streams
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.conditions import conditions_of, generate, request_digest, sample
from ganguard.targets.prior import NORMAL, PriorSettings, prior_of
from ganguard.targets.protocol import BlackBoxTarget, Discriminator, LatentTarget, WhiteBoxTarget
from ganguard.targets.repeats import allowed_beside

REQUEST = 64  # codes in a request, which an input defence sees at once
LONGEST_SECRET = 64  # bytes
_REHEARSAL = (b"rehearsal 0", b"rehearsal 1")


@dataclass(frozen=True)
class Shield:
    """A chain of defences in front of one client.

    Attributes:
        defences: the chain; codes and images pass through it in this order.
        secret: the defences' random numbers are derived from it; only the provider has it.
        client: name of the client; other clients meet other random numbers.
        tools: what defences may need beside their settings.
        prior: how the target draws codes.
    """

    defences: tuple[Defence, ...]
    secret: bytes
    client: str
    tools: Tools
    prior: PriorSettings = NORMAL

    def move(self, latents: Tensor, streams_of: "Callable[[Tensor], RowStreams]") -> Tensor:
        """Return the codes of one request, (N, d), after every input defence.

        Raises TargetError if a defence does not keep their shape.

        Args:
            latents: the codes.
            streams_of: returns the streams of codes. Each defence draws by the codes that reach it. If it
                drew by those that were sent, one code sent beside others would be moved elsewhere each time,
                always with the same random numbers.
        """
        for place, defence in enumerate(self.defences):
            if isinstance(defence, InputDefence):
                moved = defence.move(latents, streams_of(latents).of(defence, place))
                if moved.shape != latents.shape:
                    raise TargetError(
                        f"{defence.label()} must keep codes {tuple(latents.shape)}; it gave "
                        f"{tuple(moved.shape)}."
                    )
                latents = moved
        return latents

    def change(self, images: Tensor, streams: "RowStreams") -> Tensor:
        """Return images (N, C, H, W) uint8 after every output defence.

        Raises TargetError if a defence does not keep their shape and type.
        """
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
        """Whether the chain moves codes."""
        return any(defence.side == "input" for defence in self.defences)

    def drawn_for(self, target: str) -> bytes:
        """Return the prefix of the names of all streams: client, target, and the whole chain's settings.

        If any of them is another, all random numbers are others. With the same numbers under two strengths,
        the difference of two answers would cancel the noise: 3 y(0.2) - 2 y(0.3) is the clean image. With the
        same numbers behind two chains or before two targets, it would be a difference of clean images. The
        versions of code and libraries are left out, although the identity has them: an upgrade must not hand
        out fresh noise for a code, since answers with fresh noise can be averaged.

        target: identity of the target behind the chain.
        """
        said = [defence.said() for defence in self.defences]
        return content_key(client=self.client, target=target, defences=said).encode()

    def streams(self, drawn_for: bytes, rows: Sequence[bytes], requests: Sequence[bytes]) -> "RowStreams":
        """Return the streams of some images.

        Args:
            drawn_for: the result of that method.
            rows: identifies each image's code, or the image.
            requests: identifies each image of each request.
        """
        return RowStreams(
            Streams.keyed(self.secret, [drawn_for + b"code" + row for row in rows], self.prior),
            Streams.keyed(self.secret, [drawn_for + b"request" + row for row in requests], self.prior),
        )

    def digest(self) -> str:
        """Return a digest of all that images depend on, except the client.

        It includes code and libraries, so that images bought before these changed are not taken for today's.
        Clients see it. It is keyed by the secret, so that it says nothing of the chain to anybody else.
        """
        said = [defence.said() | {"version": defence.version(self.tools)} for defence in self.defences]
        return hmac.digest(
            self.secret, f"ganguard identity\x1f{canonical_json(said)}".encode(), "sha256"
        ).hex()


@dataclass(frozen=True)
class RowStreams:
    """The streams of some images, one for each kind of randomness.

    Attributes:
        per_code: derived from the code, or the image.
        per_request: derived from the request.
    """

    per_code: Streams
    per_request: Streams

    def of(self, defence: Defence, place: int) -> Streams:
        """Return the streams of the defence at a place of the chain."""
        chosen = self.per_code if defence.randomness == "per_code" else self.per_request
        return chosen.named(f"{place}")


class DefendedTarget:
    """A BlackBoxTarget whose images pass through output defences.

    Its codes are not known, so an image is identified by its pixels: the same image, by whatever seed and
    index, meets the same random numbers.
    """

    def __init__(self, inner: BlackBoxTarget, shield: Shield) -> None:
        self._inner, self._shield = inner, shield
        self.identity = f"{inner.identity}:defended:{shield.digest()}"
        self._drawn_for = shield.drawn_for(inner.identity)
        self.image_shape = inner.image_shape
        self.conditions = conditions_of(inner)
        self.repeats = allowed_beside(inner)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, of conditions (len(indices),) if there are any.

        Image i is a pure function of (seed, i), its condition and the client.
        """
        images = sample(self._inner, indices, seed=seed, conditions=conditions)
        shown = [image.tobytes() for image in images.cpu().numpy()]
        requests = [f"{seed}:{i}".encode() for i in indices]
        return self._shield.change(images, self._streams(shown, requests))

    def rehearse(self) -> None:
        """Defend two made-up images, to see that every defence keeps their shape before anything is bought.

        Raises TargetError if one does not.
        """
        images = torch.zeros(2, *self.image_shape, dtype=torch.uint8)
        self._shield.change(images, self._streams(_REHEARSAL, _REHEARSAL))

    def _streams(self, rows: Sequence[bytes], requests: Sequence[bytes]) -> RowStreams:
        return self._shield.streams(self._drawn_for, rows, requests)


class DefendedLatentTarget(DefendedTarget):
    """The same around a LatentTarget, whose codes can be moved as well.

    `sample(indices, seed)` equals `generate(draw_latents(indices, seed))` for whole requests, aligned to the
    index, with randomness per code.
    """

    def __init__(self, inner: LatentTarget, shield: Shield) -> None:
        super().__init__(inner, shield)
        self._latent = inner
        self.latent_dim, self.prior = inner.latent_dim, shield.prior

    def rehearse(self) -> None:
        """Move two codes of zeros, and defend two made-up images. Raises TargetError."""
        self._shield.move(torch.zeros(2, self.latent_dim), partial(self._streams_of, _REHEARSAL))
        super().rehearse()

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor, *, conditions: Tensor | None = None) -> Tensor:
        """Return images of chosen codes (N, latent_dim), in requests of REQUEST codes.

        conditions: (N,), what is asked for with each code. Input defences move codes, whatever is asked for.
        """
        latents = latents + 0.0  # turns -0.0 into 0.0: it is the same code, and must have the same noise
        asked = request_digest(latents, conditions)
        requests = [f"{asked}:{row}".encode() for row in range(len(latents))]
        return self._answer(latents, requests, slice(0, len(latents)), conditions)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8, of conditions (len(indices),) if there are any: of all
        equally often if none are given.

        Image i is a pure function of (seed, i), its condition and the client. Raises ValueError if indices
        are not of step 1.
        """
        if indices.step != 1:
            raise ValueError(f"indices must be a range of step 1; got {indices}")
        start, stop = indices.start, indices.stop
        if self._shield.moves:
            start, stop = start // REQUEST * REQUEST, -(-stop // REQUEST) * REQUEST
        latents = self.draw_latents(range(start, stop), seed=seed)
        requests = [f"{seed}:{i}".encode() for i in range(start, stop)]
        conditions = given_or_drawn(self, conditions, indices, seed=seed)
        wanted = slice(indices.start - start, indices.stop - start)
        return self._answer(latents, requests, wanted, conditions)

    def _answer(
        self, latents: Tensor, requests: list[bytes], wanted: slice, conditions: Tensor | None
    ) -> Tensor:
        """Return images of the wanted rows of codes, which form whole requests.

        conditions: of the wanted rows.
        """
        if self._shield.moves:
            parts = [slice(i, i + REQUEST) for i in range(0, len(latents), REQUEST)]
            streams_of = [partial(self._streams_of, requests[part]) for part in parts]
            moved = map(self._shield.move, [latents[part] for part in parts], streams_of)
            latents = torch.cat(list(moved))
        latents = latents[wanted]
        streams = self._streams_of(requests[wanted], latents, conditions)
        return self._shield.change(generate(self._latent, latents, conditions), streams)

    def _streams_of(
        self, requests: Sequence[bytes], latents: Tensor, conditions: Tensor | None = None
    ) -> RowStreams:
        """Return the streams of codes that images are made from, or that a defence is about to move.

        One code asked for with two conditions gives two images, and these must not meet the same noise: their
        difference would be free of it.
        """
        rows = [row.tobytes() for row in latents.float().cpu().numpy()]
        if conditions is not None:
            rows = [row + f":{y}".encode() for row, y in zip(rows, conditions.tolist(), strict=True)]
        return self._streams(rows, requests)


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
    """Return `target` behind a chain of defences, as `client` meets it, with the same capabilities.

    Raises TargetError if a defence moves codes and the target takes none, InputError if a defence does not
    fit the target's codes or images.

    Args:
        target: the target.
        defences: the chain, input defences first.
        secret: 1 to 64 bytes.
        client: name of the client.
        tools: what defences may need beside their settings.
    """
    if not 1 <= len(secret) <= LONGEST_SECRET:
        raise SpecError(
            f"the secret of a defended target must have 1 to {LONGEST_SECRET} bytes; got {len(secret)}."
        )
    shield = Shield(tuple(defences), secret, client, tools or Tools(), prior_of(target))
    _require_fit(target, shield)
    if isinstance(target, LatentTarget):
        if isinstance(target, WhiteBoxTarget):
            return DefendedWhiteBoxLatentTarget(target, target.discriminator, shield)
        return DefendedLatentTarget(target, shield)
    if isinstance(target, WhiteBoxTarget):
        return DefendedWhiteBoxTarget(target, shield)
    return DefendedTarget(target, shield)


def _require_fit(target: BlackBoxTarget, shield: Shield) -> None:
    """Raise InputError if a defence does not fit the target."""
    for defence in shield.defences:
        if isinstance(defence, OutputDefence):
            defence.require(target.image_shape, shield.tools)
        elif isinstance(defence, InputDefence):
            if not isinstance(target, LatentTarget):
                raise TargetError(
                    f"{defence.label()} moves codes, but this target takes none. Choose a defence that "
                    "changes images."
                )
            defence.require(target.latent_dim)
            defence.require_prior(shield.prior)
