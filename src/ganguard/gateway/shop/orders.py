"""A sale: reserve, durably, then make the images, then record them as delivered, then send.

Whatever is killed when, distinct images delivered <= reserved <= budget. The same idempotency key of the same
account redeems its reservation, free, with the same images: what they are follows from the key's request, the
target and its secret, and from the machine and the versions of what makes them. So a reservation names these,
and is not redeemed by others.
"""

import hmac
import logging
import threading
from dataclasses import dataclass

import torch
from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.errors import BudgetError, ReservationError
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.group_commit import GroupCommit
from ganguard.gateway.shop.keys import Key
from ganguard.queries.ledger import Ledger, Purchase, reservation_id
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, require_answer
from ganguard.targets.wire import ImagesRequest

LOG = logging.getLogger("ganguard.gateway")
_BY = " by "  # between the words of a request and its maker


@dataclass(frozen=True)
class Order:
    """What a key's holder asks for, once it is known to be allowed. latents: (count, latent_dim) float32, or
    None."""

    account: str
    idempotency_key: str
    count: int
    seed: int | None
    start: int
    latents: Tensor | None

    def words(self) -> str:
        """All of it, as the ledger records it."""
        if self.latents is not None:
            return f"generate latents={tensor_digest({'latents': self.latents})}"
        if self.seed is None:
            return f"sample drawn count={self.count}"
        return f"sample seed={self.seed} indices={self.start}:{self.start + self.count}"


def order_of(
    key: Key, asked: ImagesRequest, idempotency_key: str, target: BlackBoxTarget, most: int
) -> Order:
    """A request that a key may make of a target. Raises ProblemError: 403 for what its scopes do not allow,
    422 for what does not fit."""
    if asked.latents is not None and not key.scopes.send_latents:
        raise ProblemError(403, "this key may not send latents. Leave them out, or ask for a key that may.")
    if asked.seed is not None and not key.scopes.choose_seed:
        raise ProblemError(403, "this key may not choose the seed. Leave it out, or ask for a key that may.")
    if asked.seed is not None and asked.latents is not None:
        raise ProblemError(422, "seed: latents are codes already. Send one of the two.")
    if asked.seed is None and asked.start:
        raise ProblemError(422, "start: goes with a seed. Send both, or neither.")
    count = len(asked.latents) if asked.latents is not None else asked.count
    if count is None or (asked.latents is not None and asked.count not in (None, count)):
        raise ProblemError(422, "count: say how many images; with latents, as many as there are, or nothing.")
    if count > min(key.scopes.most_images, most):
        allowed = min(key.scopes.most_images, most)
        raise ProblemError(403, f"count: this key may ask for at most {allowed} images at once; got {count}.")
    latents = None if asked.latents is None else _codes(asked.latents, target)
    return Order(key.account, idempotency_key, count, asked.seed, asked.start, latents)


def _codes(latents: list[list[float]], target: BlackBoxTarget) -> Tensor:
    if not isinstance(target, LatentTarget):
        raise ProblemError(422, "latents: this target takes no codes. Leave them out.")
    if any(len(row) != target.latent_dim for row in latents):
        raise ProblemError(422, f"latents: each code must have {target.latent_dim} entries.")
    return torch.tensor(latents, dtype=torch.float32)


def _reservation(order: Order, target: BlackBoxTarget) -> str:
    return reservation_id(target.identity, order.account, order.idempotency_key)


class OrderProcessor:
    """Where images are sold. secret: what the seeds of images follow from whose client chose none. maker: the
    machine and the versions that bytes depend on beside the target, in words."""

    def __init__(self, ledger: Ledger, secret: bytes, maker: str) -> None:
        self._ledger, self._secret, self._maker = ledger, secret, maker
        turn = threading.Lock()  # one transaction at a time: SQLite's own waiting sleeps
        self._reserve, self._commit = (
            GroupCommit(ledger.reserve_all, turn),
            GroupCommit(ledger.commit_all, turn),
        )

    def reserve(self, order: Order, target: BlackBoxTarget) -> bool:
        """Reserve an order's images; False where they were before, under the same key. Raises ProblemError
        where the budget does not suffice (429), the key stands for another request (422) or for images of
        another maker (409), and whatever the ledger raises."""
        reservation, words = _reservation(order, target), order.words()
        try:
            return self._reserve(
                Purchase(reservation, order.account, order.count, f"{words}{_BY}{self._maker}")
            )
        except ReservationError:
            self._require_redeemable(self._ledger.request_of(reservation) or "", words)
            return False
        except BudgetError:
            balance = self._ledger.balance(order.account)
            left = balance.budget - balance.reserved
            raise ProblemError(
                429,
                f"the account may buy {left} more of its budget of {balance.budget} images; asked for "
                f"{order.count}.",
                left=(balance.budget, balance.reserved, left),
            ) from None

    def _require_redeemable(self, held: str, words: str) -> None:
        """See that a reservation is for the same request, by whoever it was made. Those of the time before
        makers were named name none, and are redeemed."""
        asked, named, maker = held.partition(_BY)
        if asked != words:
            said = "this idempotency key stands for another request. Give each request a key of its own."
            raise ProblemError(422, said)
        if named and maker != self._maker:
            LOG.warning("not redeemed: images were made by %s; now they would be by %s", maker, self._maker)
            raise ProblemError(
                409,
                "the gateway has changed its machine or its versions since these images were reserved, and "
                "cannot make the same bytes again. Nothing more was spent. Ask under another key for new "
                "images.",
            )

    def deliver(self, order: Order, target: BlackBoxTarget) -> Tensor:
        """Images (count, C, H, W) uint8 of an order that is reserved. Raises whatever the ledger and the
        target raise; asking again is free."""
        images = require_answer(self._made(order, target), target, order.count)
        self._commit(_reservation(order, target))
        return images

    def _made(self, order: Order, target: BlackBoxTarget) -> Tensor:
        if order.latents is not None and isinstance(target, LatentTarget):
            return target.generate(order.latents)
        if order.seed is not None:
            return target.sample(range(order.start, order.start + order.count), seed=order.seed)
        return target.sample(range(order.count), seed=self._drawn(order))

    def _drawn(self, order: Order) -> int:
        """The seed of an order without one: nobody can tell it who does not hold the secret."""
        said = f"{order.account}\x1f{order.idempotency_key}".encode()
        return int.from_bytes(hmac.digest(self._secret, b"seed\x1f" + said, "sha256")[:7], "little")
