"""Orders: images are reserved durably, then made, then recorded as delivered, then sent.

So distinct images delivered <= reserved <= budget, whatever is killed at whatever time. Asking again under
the same idempotency key of the same account redeems the reservation: it is free and returns the same images.
The images follow from the request, the target and the secret, and from the machine and the software versions
that make them. A reservation records the machine and the versions as its provenance, and is not redeemed
under another one.
"""

import hmac
import logging
import threading
from dataclasses import dataclass

from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.base.errors import BudgetError, ReservationError
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked
from ganguard.gateway.shop.group_commit import GroupCommit
from ganguard.gateway.shop.keys import Key
from ganguard.queries.ledger import Ledger, Purchase, reservation_id
from ganguard.queries.reservation import sample_words
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, require_answer

LOG = logging.getLogger("ganguard.gateway")
_BY = " by "  # separates the request from its provenance in the ledger


@dataclass(frozen=True)
class Order:
    """A request that its key allows.

    Attributes:
        account: the account that pays.
        idempotency_key: the key under which the request may be repeated.
        count: number of images.
        seed: the seed that the client chose; None if it chose none.
        start: index of the first image of that seed.
        latents: the codes that the client sent, (count, latent_dim) float32; None if it sent none.
    """

    account: str
    idempotency_key: str
    count: int
    seed: int | None
    start: int
    latents: Tensor | None

    def words(self) -> str:
        """Return the request as the ledger records it."""
        if self.latents is not None:
            return f"generate latents={tensor_digest({'latents': self.latents})}"
        if self.seed is None:
            return f"sample drawn count={self.count}"
        return sample_words(self.seed, range(self.start, self.start + self.count))


def order_of(key: Key, asked: Asked, idempotency_key: str, target: BlackBoxTarget, most: int) -> Order:
    """Check a request against its key and the target, and return it as an order.

    Args:
        key: the key that the request carries.
        asked: what the request asks for.
        idempotency_key: the key under which it may be repeated.
        target: the target, without defences.
        most: the most images that any request may ask for.

    Raises ProblemError: 403 if the key's scopes do not allow it, 422 if it does not fit the target or
    contradicts itself.
    """
    if asked.latents is not None and not key.scopes.send_latents:
        raise ProblemError(403, "this key may not send latents. Leave them out, or use a key that may.")
    if asked.seed is not None and not key.scopes.choose_seed:
        raise ProblemError(403, "this key may not choose the seed. Leave it out, or use a key that may.")
    if asked.seed is not None and asked.latents is not None:
        raise ProblemError(422, "seed: goes without latents, which are the codes. Send one of the two.")
    if asked.seed is None and asked.start:
        raise ProblemError(422, "start: goes with a seed. Send both, or neither.")
    count = len(asked.latents) if asked.latents is not None else asked.count
    if count is None or (asked.latents is not None and asked.count not in (None, count)):
        wanted = "send the number of images; with latents, their number or no count"
        raise ProblemError(422, f"count: {wanted}.")
    if count > (allowed := min(key.scopes.most_images, most)):
        raise ProblemError(403, f"count: this key may ask for at most {allowed} images at once; got {count}.")
    latents = None if asked.latents is None else _codes(asked.latents, target)
    return Order(key.account, idempotency_key, count, asked.seed, asked.start, latents)


def _codes(latents: Tensor, target: BlackBoxTarget) -> Tensor:
    if not isinstance(target, LatentTarget):
        raise ProblemError(422, "latents: this target takes no latents. Leave them out.")
    if latents.shape[1] != target.latent_dim:
        raise ProblemError(422, f"latents: each must have {target.latent_dim} entries.")
    return latents


def _reservation(order: Order, target: BlackBoxTarget) -> str:
    return reservation_id(target.identity, order.account, order.idempotency_key)


class OrderProcessor:
    """Reserves and delivers the images of orders.

    Args:
        ledger: the accounts' ledger.
        secret: the secret from which seeds are derived for orders without one.
        provenance: the machine and software versions that the bytes of images depend on, in one line.
    """

    def __init__(self, ledger: Ledger, secret: bytes, provenance: str) -> None:
        self._ledger, self._secret, self._provenance = ledger, secret, provenance
        turn = threading.Lock()  # one transaction at a time, as SQLite sleeps while it waits for its lock
        self._reserve = GroupCommit(ledger.reserve_all, turn)
        self._commit = GroupCommit(ledger.commit_all, turn)

    def reserve(self, order: Order, target: BlackBoxTarget) -> bool:
        """Reserve an order's images; return False if they were reserved before under the same key.

        Raises ProblemError: 429 if the budget does not suffice, 422 if the idempotency key belongs to another
        request, 409 if the images were reserved under another provenance. Raises whatever the ledger raises.
        """
        reservation, words = _reservation(order, target), order.words()
        try:
            recorded = f"{words}{_BY}{self._provenance}"
            return self._reserve(Purchase(reservation, order.account, order.count, recorded))
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
        """Raise ProblemError unless the ledger's record `held` has the same request and provenance."""
        asked, _, provenance = held.partition(_BY)
        if asked != words:
            said = "this idempotency key belongs to another request. Give each request a key of its own."
            raise ProblemError(422, said)
        if provenance != self._provenance:
            LOG.warning("not redeemed: reserved on %s; this is %s", provenance, self._provenance)
            raise ProblemError(
                409,
                "the gateway's machine or software versions have changed since these images were reserved, "
                "so it cannot make the same bytes again. Nothing more was spent. Ask under another "
                "idempotency key for new images.",
            )

    def deliver(self, order: Order, target: BlackBoxTarget) -> Tensor:
        """Make a reserved order's images (count, C, H, W) uint8, and record them as delivered.

        Raises whatever the ledger and the target raise; asking again is free.
        """
        images = require_answer(self._made(order, target), target, order.count)
        self._commit(_reservation(order, target))
        return images

    def _made(self, order: Order, target: BlackBoxTarget) -> Tensor:
        if order.latents is not None and isinstance(target, LatentTarget):
            return target.generate(order.latents)
        if order.seed is not None:
            return target.sample(range(order.start, order.start + order.count), seed=order.seed)
        return target.sample(range(order.count), seed=self._drawn(order, target))

    def _drawn(self, order: Order, target: BlackBoxTarget) -> int:
        """Return the seed of an order without one, which cannot be predicted without the secret.

        It depends on the target with its defences: an account that changes class, and orders again under an
        old idempotency key, must not get the same codes behind other defences.
        """
        said = f"{order.account}\x1f{order.idempotency_key}\x1f{target.identity}".encode()
        return int.from_bytes(hmac.digest(self._secret, b"seed\x1f" + said, "sha256")[:7], "little")
