"""Orders: images are reserved durably, then made, then recorded as delivered, then sent.

So distinct images delivered <= reserved <= budget, whatever is killed at whatever time. Asking again under
the same idempotency key of the same account redeems the reservation: it is free and returns the same images.
A reservation belongs to account and idempotency key, whatever is served. It records what else its bytes
depend on as its provenance, and is not redeemed under another one. If the images cannot be made, it is
released: nothing was delivered, as nobody delivers before the delivery is recorded.
"""

import hmac
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from torch import Tensor

from ganguard.base.errors import BudgetError, GanguardError, ReservationError, StepError
from ganguard.gateway.refusals import AGAIN_AFTER, ProblemError
from ganguard.gateway.seldom import PROVOKED
from ganguard.gateway.shop.asked_conditions import condition_exhausted
from ganguard.gateway.shop.group_commit import GroupCommit
from ganguard.gateway.shop.in_progress import InProgress, Together
from ganguard.gateway.shop.offers import Offer
from ganguard.gateway.shop.order import Order
from ganguard.gateway.shop.provenance import Provenance
from ganguard.queries.ledger import Ledger, Purchase
from ganguard.queries.ledger_conditions import ConditionBudgetError
from ganguard.queries.reservation import of_conditions
from ganguard.targets.ask import UNIFORM, asked_of
from ganguard.targets.conditions import conditions_of, generate, names_of, sample
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget, require_answer

_BY = " by "  # separates the request from its provenance in the ledger


class OrderProcessor:
    """Reserves and delivers the images of orders.

    Args:
        ledger: the accounts' ledger.
        secret: the secret from which seeds are derived for orders without one.
    """

    def __init__(self, ledger: Ledger, secret: bytes) -> None:
        self._ledger, self._secret, self._in_progress = ledger, secret, InProgress()
        # One transaction at a time, as SQLite sleeps while it waits for its lock.
        self._turn = threading.Lock()
        self._reserve = GroupCommit(ledger.reserve_all, self._turn)
        self._commit = GroupCommit(ledger.commit_all, self._turn)

    def request(self, order: Order) -> AbstractContextManager[Together]:
        """Count an order's request as in progress while the body runs, beside others under the same key."""
        return self._in_progress.request(order.reservation)

    def reserve(self, order: Order, offer: Offer) -> tuple[Purchase, bool]:
        """Reserve an order's images.

        Returns what was reserved, and whether it was reserved only now. Raises ProblemError: 402 if the
        budget, or that of a condition, does not suffice, 422 if the order does not fit the target, or if the
        idempotency key belongs to another request, 409 if the images were reserved under another provenance.
        Raises whatever the ledger raises.
        """
        if order.asked.misfit:
            self._require_redeemable(order, offer.provenance, self._ledger.request_of(order.reservation))
            raise order.asked.misfit
        recorded = f"{order.words()}{_BY}{offer.provenance.words()}"
        asked_for = self.conditions(order, offer.target)
        names = names_of(conditions_of(offer.target), asked_for) or []
        asked = of_conditions(names, offer.budgets, self._one_of(order, names))
        wanted = Purchase(order.reservation, order.account, order.count, recorded, asked)
        try:
            return wanted, self._reserve(wanted)
        except ReservationError:
            held = self._ledger.request_of(order.reservation)
            if held is None:
                raise _again("another request under it ended without images") from None
            self._require_redeemable(order, offer.provenance, held)
            return Purchase(order.reservation, order.account, order.count, held), False
        except ConditionBudgetError as refusal:
            raise condition_exhausted(refusal) from None
        except BudgetError:
            balance = self._ledger.balance(order.account)
            left = balance.budget - balance.reserved
            raise ProblemError(
                402,
                f"the account may buy {left} more of its budget of {balance.budget} images; asked for "
                f"{order.count}.",
                kind="budget-exhausted",
                left=(balance.budget, balance.reserved, left),
            ) from None

    def _require_redeemable(self, order: Order, now: Provenance, held: str | None) -> None:
        """Raise ProblemError unless the ledger's record `held` is of the same request and the same bytes.

        held: None if nothing is reserved.
        """
        if held is None:
            return
        asked, _, provenance = held.partition(_BY)
        if asked != order.words():
            raise ProblemError(
                422,
                "this idempotency key belongs to another request. Give each request a key of its own.",
                kind="key-conflict",
            )
        if changed := now.changes(provenance):
            PROVOKED.warning("not redeemed: reserved by %s; this is %s", provenance, now.words())
            spent = "Nothing more was spent"
            if self._released(order.reservation, held):
                spent = "They had not been sent, and were given back: nothing is spent on them"
            raise ProblemError(
                409,
                f"{_listed(changed)} changed since these images were reserved, so the gateway cannot make "
                f"the same bytes again. {spent}. Ask under another idempotency key for new images.",
                kind="changed-deploy",
            )

    def make(
        self,
        order: Order,
        target: BlackBoxTarget,
        purchase: Purchase,
        together: Together,
        encode: Callable[[Tensor], bytes],
        gone: Callable[[], bool],
    ) -> bytes:
        """Make the images of a reserved order, and return them encoded.

        Whatever the target, the defences and `encode` raise is logged, and becomes a ProblemError (503). The
        reservation is released first if this process made it, and no other request under the same key is in
        progress here. (If one is in progress elsewhere, its delivery is refused before anything is sent.)

        Args:
            order: the order.
            target: what makes its images.
            purchase: its reservation.
            together: the requests in progress under its key.
            encode: turns images (count, C, H, W) uint8 into the body of an answer.
            gone: tells whether nobody waits for the answer any more, which counts as a failure.
        """
        try:
            body = encode(require_answer(self._made(order, target), target, order.count))
            if gone():
                raise StepError("the request was ended before its images were made.")
            return body
        except BaseException as problem:
            known = isinstance(problem, GanguardError)
            PROVOKED.error("images for account %r: %s", order.account, problem, exc_info=not known)
            if self._in_progress.may_release(purchase.reservation, together) and self._released(
                purchase.reservation, purchase.request
            ):
                raise ProblemError(
                    503,
                    "these images could not be made. Their reservation was given back: nothing was spent.",
                    kind="not-made",
                    retry_after=AGAIN_AFTER,
                ) from problem
            raise _again("these images could not be made, and stay reserved") from problem

    def _released(self, reservation: str, request: str) -> bool:
        """Release a reservation; return False if it was delivered, or if that fails."""
        try:
            with self._turn:
                self._ledger.release(reservation, request)
        except BudgetError:
            return False
        except Exception as problem:  # noqa: BLE001 - whatever it is, the images stay reserved
            PROVOKED.warning("a reservation was not released: %s", problem)
            return False
        return True

    def deliver(self, purchase: Purchase) -> bool:
        """Record that an order's images are delivered, before they are sent.

        Returns False if they were delivered before. Raises whatever the ledger raises, and ProblemError (503)
        if another request gave them back meanwhile: then they must not be sent.
        """
        try:
            return self._commit((purchase.reservation, purchase.request))
        except BudgetError as problem:
            PROVOKED.warning("not delivered: %s", problem)
            raise _again("another request under it gave these images back") from None

    def _made(self, order: Order, target: BlackBoxTarget) -> Tensor:
        conditions = self.conditions(order, target)
        if order.latents is not None and isinstance(target, LatentTarget):
            return generate(target, order.latents, conditions)
        return sample(target, order.indices, seed=self._seed(order, target), conditions=conditions)

    def conditions(self, order: Order, target: BlackBoxTarget) -> Tensor | None:
        """Return what each image of an order is asked for, (count,); None if the target takes no conditions.

        If the client did not say, each condition is asked for equally often: with a seed of the client's as
        at home, in turn if the target is asked so. Without one they are drawn by the gateway's own seed,
        since the images of each order begin at 0.
        """
        known = conditions_of(target)
        if order.asked.numbers is not None or known is None:
            return order.asked.numbers
        seed = self._seed(order, target)
        if order.seed is None:
            drawn = known.model_copy(update={"in_turn": False})
            return UNIFORM.draw(drawn, order.indices, seed=seed)
        return asked_of(target, None, order.indices, seed=seed)

    def _one_of(self, order: Order, names: list[str]) -> str | None:
        """Return the condition of one image of an order, which cannot be predicted without the secret: the
        order counts as a request for it."""
        if not names:
            return None
        drawn = hmac.digest(self._secret, f"one image\x1f{order.reservation}".encode(), "sha256")
        return names[int.from_bytes(drawn[:8], "little") % len(names)]

    def _seed(self, order: Order, target: BlackBoxTarget) -> int:
        """Return the seed of an order: the client's, or one that cannot be predicted without the secret.

        The latter depends on the target with its defences: an account that changes class, and orders again
        under an old idempotency key, must not get the same codes behind other defences.
        """
        if order.seed is not None:
            return order.seed
        said = f"{order.account}\x1f{order.idempotency_key}\x1f{target.identity}".encode()
        return int.from_bytes(hmac.digest(self._secret, b"seed\x1f" + said, "sha256")[:7], "little")


def _again(why: str) -> ProblemError:
    """Return the error (503) of an order whose images may be reserved."""
    said = f"{why}. Ask again under the same idempotency key: images count once."
    return ProblemError(503, said, retry_after=AGAIN_AFTER)


def _listed(names: list[str]) -> str:
    """Return names as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
