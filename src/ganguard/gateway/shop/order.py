"""An order: a request that its key allows, and that fits the target."""

from dataclasses import dataclass

from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.gateway.refusals import ProblemError
from ganguard.gateway.shop.asked import Asked, too_many
from ganguard.gateway.shop.asked_conditions import NOT_ASKED, AskedConditions, conditions_asked
from ganguard.gateway.shop.keys import Key
from ganguard.queries.reservation import reservation_id, sample_words
from ganguard.targets.conditions import conditions_of
from ganguard.targets.protocol import BlackBoxTarget, LatentTarget


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
        asked: the conditions that the client asked for.
    """

    account: str
    idempotency_key: str
    count: int
    seed: int | None
    start: int
    latents: Tensor | None
    asked: AskedConditions = NOT_ASKED

    @property
    def reservation(self) -> str:
        """The id of the order's reservation, which does not depend on what is served.

        So asking again after a change of the target or its defences buys nothing in silence.
        """
        return reservation_id("gateway", self.account, self.idempotency_key)

    @property
    def indices(self) -> range:
        """The indices of its images, of the seed that the client or the gateway draws."""
        return range(self.start, self.start + self.count)

    def words(self) -> str:
        """Return the request as the ledger records it."""
        if self.latents is not None:
            return f"generate latents={tensor_digest({'latents': self.latents})}{self.asked.words}"
        if self.seed is None:
            return f"sample drawn count={self.count}{self.asked.words}"
        return sample_words(self.seed, self.indices) + self.asked.words


def order_of(key: Key, asked: Asked, idempotency_key: str, target: BlackBoxTarget, most: int) -> Order:
    """Check a request against its key and the target, and return it as an order.

    Args:
        key: the key that the request carries.
        asked: what the request asks for.
        idempotency_key: the key under which it may be repeated.
        target: the target, without defences.
        most: the most images that a request under this key may ask for.

    Conditions that the target does not know are the order's misfit. Raises ProblemError: 403 if the key's
    scopes do not allow it, 422 if its codes do not fit the target, or if it contradicts itself.
    """
    if asked.latents is not None and not key.scopes.send_latents:
        raise ProblemError(403, "this key may not send latents. Leave them out, or use a key that may.")
    if asked.seed is not None and not key.scopes.choose_seed:
        raise ProblemError(403, "this key may not choose the seed. Leave it out, or use a key that may.")
    if asked.seed is not None and asked.latents is not None:
        raise ProblemError(422, "seed: goes without latents, which are the codes. Send one of the two.")
    if asked.seed is None and asked.start:
        raise ProblemError(422, "start: goes with a seed. Send both, or neither.")
    count = _count(asked)
    if count > most:
        raise too_many(count, most)
    latents = None if asked.latents is None else _codes(asked.latents, target)
    conditions = conditions_asked(asked.condition, count, conditions_of(target))
    return Order(key.account, idempotency_key, count, asked.seed, asked.start, latents, conditions)


def _count(asked: Asked) -> int:
    """Return how many images a request asks for. Raises ProblemError if it does not say, or contradicts
    itself."""
    if asked.latents is not None:
        count = len(asked.latents)
    elif asked.count is None and isinstance(asked.condition, list):
        count = len(asked.condition)
    else:
        count = asked.count
    if count is None or asked.count not in (None, count):
        wanted = "send the number of images; with latents, their number or no count"
        raise ProblemError(422, f"count: {wanted}.")
    return count


def _codes(latents: Tensor, target: BlackBoxTarget) -> Tensor:
    if not isinstance(target, LatentTarget):
        raise ProblemError(422, "latents: this target takes no latents. Leave them out.")
    if latents.shape[1] != target.latent_dim:
        raise ProblemError(422, f"latents: each must have {target.latent_dim} entries.")
    return latents
