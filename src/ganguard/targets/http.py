"""A gateway on another machine as a target: an audit attacks it over the wire.

The idempotency key of a request is derived from what it asks for. So a request whose answer was lost is sent
again with the same key, in this run or the next, and is never bought twice.
"""

import hashlib
import math
import os
from typing import ClassVar
from urllib.parse import SplitResult

import torch
from pydantic import model_validator
from torch import Tensor

from ganguard.base.cache import content_key
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import shortened
from ganguard.targets.allowed import is_loopback, parts_of, require_allowed
from ganguard.targets.ask import given_or_drawn
from ganguard.targets.batching import MICRO_BATCH
from ganguard.targets.conditions import (
    Conditions,
    conditions_of,
    conditions_words,
    request_digest,
    require_conditions,
    require_with_codes,
)
from ganguard.targets.load import TargetSettings
from ganguard.targets.prior import OfIndices, PriorSettings
from ganguard.targets.wire import AccountAnswer, ConditionalRequest, ImagesRequest, from_npz
from ganguard.targets.wire_client import WireClient

_ROOM = 65_536  # bytes of an answer beside the images


class HttpTarget(TargetSettings):
    """`url`: address of a gateway, such as https://images.example.org.

    Attributes:
        key_env: the environment variable that holds the key.
        authorised_by: who allowed this audit; required unless the address is this machine itself.
    """

    remote: ClassVar[bool] = True
    url: str
    key_env: str = "GANGUARD_KEY"
    authorised_by: str | None = None

    @model_validator(mode="after")
    def _allowed(self) -> "HttpTarget":
        require_allowed(self.url, _parts(self.url), self.authorised_by)
        return self

    def fingerprint(self) -> None:
        """Return None: only the gateway knows what it serves."""
        return None

    def load(self, compute: Compute) -> "RemoteTarget":
        """Ask the gateway what it serves, and return it as a target.

        Raises TargetError if the key is absent or refused, StepError if the gateway does not answer.
        """
        if not (key := os.environ.get(self.key_env)):
            raise TargetError(
                f"{self.url}: the environment variable {self.key_env} must hold a key for this gateway; it "
                "is not set."
            )
        direct = is_loopback(_parts(self.url).hostname or "")
        return remote(WireClient(self.url.rstrip("/"), key, direct=direct))


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL. Raises ValueError if it is not the address of a gateway."""
    if found := parts_of(url):
        return found
    came = "one with a user" if "@" in url else shortened(url)  # no message repeats a password
    raise ValueError(
        f"url must be http://host:port or https://host, without user, query or fragment; got {came}"
    )


def remote(client: WireClient) -> "RemoteTarget":
    """Return the target that a gateway serves to the holder of a key.

    It takes codes if the key may send them, and if they can be drawn here.
    """
    account = client.account()
    if account.target.latent_dim is None:
        return RemoteTarget(client, account)
    if account.target.prior is None:
        target = RemoteTarget(client, account)
        target.notes = (
            "The gateway draws codes by code of its owner's, so that none can be drawn here: it is asked "
            "without codes.",
        )
        return target
    return RemoteLatentTarget(client, account, account.target.latent_dim, account.target.prior)


class RemoteTarget:
    """A BlackBoxTarget at a gateway.

    If the key may choose the seed, image i is a pure function of (seed, i). Otherwise the gateway draws, and
    images are a function of the request: the same range with the same seed gives the same images, whether in
    one piece or in a later run.

    Attributes:
        notes: what a person should know of it, a sentence each.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, client: WireClient, account: AccountAnswer) -> None:
        self._client, self._scopes = client, account.scopes
        self.conditions: Conditions | None = conditions_of(account.target)
        served: dict[str, object] = {
            "target": account.target.identity,
            "account": account.account,
            "seeds": account.scopes.choose_seed,
        }
        if self.conditions is not None:  # the keys of requests name conditions by their numbers
            served["conditions"] = self.conditions.model_dump(mode="json")
        self.identity = f"url:{content_key(**served)}"
        self.image_shape = account.target.image_shape
        most = account.scopes.most_images
        # Not more than a defence sees at once, even if the key allows it, so that other keys cut alike.
        self._at_once = min(MICRO_BATCH, most)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8.

        conditions: (len(indices),) int64; None lets the gateway ask uniformly, if its target is conditional.

        Raises BudgetError if the account cannot pay, TargetError if the gateway refuses, StepError if it does
        not answer.
        """
        parts = _aligned(indices, self._at_once)
        asked = self._split(conditions, [len(part) for part in parts])
        images = [self._sampled(part, seed, each) for part, each in zip(parts, asked, strict=True)]
        return torch.cat(images)

    def _split(self, conditions: Tensor | None, sizes: list[int]) -> list[Tensor | None]:
        """Return the conditions of each request. Raises TargetError if they are none of the target's."""
        if conditions is None:
            return [None] * len(sizes)
        require_conditions(conditions, self.conditions, sum(sizes))
        return [*conditions.split(sizes)]

    def _sampled(self, indices: range, seed: int, conditions: Tensor | None) -> Tensor:
        words = f"sample seed={seed} indices={indices.start}:{indices.stop}{conditions_words(conditions)}"
        if self._scopes.choose_seed:
            asked = ImagesRequest(count=len(indices), seed=seed, start=indices.start, format="npz")
        else:
            asked = ImagesRequest(count=len(indices), format="npz")
        return self._bought(asked, conditions, len(indices), words)

    def _bought(self, asked: ImagesRequest, conditions: Tensor | None, count: int, words: str) -> Tensor:
        if conditions is not None and self.conditions is not None:
            names = self.conditions.said(conditions)
            same = names[0] if len({*names}) == 1 else names
            asked = ConditionalRequest(**dict(asked), condition=same)
        key = hashlib.sha256(f"{self.identity}\x1f{words}".encode()).hexdigest()
        content = self._client.images(asked, key, most=count * math.prod(self.image_shape) + _ROOM)
        return from_npz(content, count, self.image_shape)


class RemoteLatentTarget(RemoteTarget):
    """The same for a key that may send codes, which the gateway's own prior draws here."""

    def __init__(
        self, client: WireClient, account: AccountAnswer, latent_dim: int, prior: PriorSettings
    ) -> None:
        super().__init__(client, account)
        self.latent_dim, self.prior = latent_dim, prior

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) float32 from the target's prior, without a request.

        The gateway draws the same codes.
        """
        return self.prior.draw(OfIndices(seed, indices), self.latent_dim)

    def generate(self, latents: Tensor, *, conditions: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) uint8 of codes (N, latent_dim), and of conditions (N,) int64, which a
        conditional target needs. Raises as `sample` does."""
        require_with_codes(conditions, self.conditions, len(latents))
        whole = request_digest(latents, conditions)
        parts = latents.float().split(self._at_once)
        asked = self._split(conditions, [len(part) for part in parts])
        images = [
            self._made(part, each, f"generate latents={whole} part={i}")
            for i, (part, each) in enumerate(zip(parts, asked, strict=True))
        ]
        return torch.cat(images)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Return images (len(indices), C, H, W) uint8 of the codes `draw_latents(indices, seed=seed)`."""
        if self._scopes.choose_seed:
            return super().sample(indices, seed=seed, conditions=conditions)
        conditions = given_or_drawn(self, conditions, indices, seed=seed)
        return self.generate(self.draw_latents(indices, seed=seed), conditions=conditions)

    def _made(self, latents: Tensor, conditions: Tensor | None, words: str) -> Tensor:
        asked = ImagesRequest(latents=latents.tolist(), format="npz")
        return self._bought(asked, conditions, len(latents), words)


def _aligned(indices: range, at_once: int) -> list[range]:
    """Cut a range into pieces of at most `at_once`, at multiples of `at_once` wherever the range begins."""
    cuts = range(indices.start // at_once * at_once, indices.stop, at_once)
    return [range(max(cut, indices.start), min(cut + at_once, indices.stop)) for cut in cuts]
