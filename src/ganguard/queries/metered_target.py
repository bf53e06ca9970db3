"""A meter around a target: every image passes through the ledger, whoever asks for it.

The wrapper has the capabilities of the target inside, and no others. D is handed over, not queried, so it is
not metered.
"""

from functools import partial

from torch import Tensor

from ganguard.queries.ledger import Ledger
from ganguard.queries.reservation import of_conditions, reservation_id, sample_words
from ganguard.targets.conditions import (
    conditions_of,
    generate,
    names_of,
    request_digest,
    require_conditions,
    sample,
)
from ganguard.targets.prior import prior_of
from ganguard.targets.protocol import (
    BlackBoxTarget,
    Discriminator,
    LatentTarget,
    WhiteBoxTarget,
    require_answer,
)
from ganguard.targets.repeats import charged_to


class MeteredTarget:
    """A BlackBoxTarget whose images an account pays for.

    Raises BudgetError before an image is made that the account cannot pay for.

    Args:
        inner: the target that makes the images.
        ledger: where the account is kept.
        account: the account that pays.
    """

    def __init__(self, inner: BlackBoxTarget, ledger: Ledger, account: str) -> None:
        self._inner, self._ledger, self._account = inner, ledger, account
        self.identity = inner.identity
        self.image_shape = inner.image_shape
        self.conditions = conditions_of(inner)

    def sample(self, indices: range, *, seed: int, conditions: Tensor | None = None) -> Tensor:
        """Reserve images, ask for them, record them as delivered, and return them.

        Returns images (len(indices), C, H, W) uint8. Raises ValueError unless `indices` is a range of step 1
        from 0 up that is not empty.
        """
        if indices.step != 1 or indices.start < 0 or not indices:
            raise ValueError(f"indices must be a range of step 1 from 0 up that is not empty; got {indices}")
        if conditions is not None:
            require_conditions(conditions, self.conditions, len(indices))
        names = names_of(self.conditions, conditions) or []
        reservation = self._reserve(sample_words(seed, indices, conditions), len(indices), names)
        with charged_to(partial(self._once_more, by_condition=conditions is not None)):
            images = sample(self._inner, indices, seed=seed, conditions=conditions)
        return self._delivered(images, reservation, len(indices))

    def _once_more(self, request: str, images: int, condition: str | None, *, by_condition: bool) -> None:
        """Reserve the images of a request that is sent again, and may be charged again.

        by_condition: whether the images that it was sent for are counted by condition.
        """
        self._reserve(request, images, [condition] * images if by_condition and condition is not None else [])

    def _reserve(self, request: str, images: int, names: list[str]) -> str:
        """Reserve images and return the reservation; `names` are what each is asked for, if it is counted."""
        reservation = reservation_id(self.identity, self._account, request)
        self._ledger.reserve(reservation, self._account, images, request, of_conditions(names))
        return reservation

    def _delivered(self, images: Tensor, reservation: str, count: int) -> Tensor:
        require_answer(images, self._inner, count)
        self._ledger.commit(reservation)
        return images


class MeteredLatentTarget(MeteredTarget):
    """A LatentTarget whose images an account pays for. Drawing codes from the prior is free."""

    def __init__(self, inner: LatentTarget, ledger: Ledger, account: str) -> None:
        super().__init__(inner, ledger, account)
        self._latent = inner
        self.latent_dim, self.prior = inner.latent_dim, prior_of(inner)

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Return codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor, *, conditions: Tensor | None = None) -> Tensor:
        """Return images of chosen codes (N, latent_dim), and of conditions (N,) if there are any; the same
        request again counts once."""
        if conditions is not None:
            require_conditions(conditions, self.conditions, len(latents))
        request = f"generate latents={request_digest(latents, conditions)}"
        names = names_of(self.conditions, conditions) or []
        reservation = self._reserve(request, len(latents), names)
        return self._delivered(generate(self._latent, latents, conditions), reservation, len(latents))


class MeteredWhiteBoxTarget(MeteredTarget):
    """A WhiteBoxTarget whose images an account pays for."""

    def __init__(self, inner: WhiteBoxTarget, ledger: Ledger, account: str) -> None:
        super().__init__(inner, ledger, account)
        self.discriminator: Discriminator = inner.discriminator


class MeteredWhiteBoxLatentTarget(MeteredLatentTarget):
    """A target with codes and D, whose images an account pays for."""

    def __init__(
        self, inner: LatentTarget, discriminator: Discriminator, ledger: Ledger, account: str
    ) -> None:
        super().__init__(inner, ledger, account)
        self.discriminator = discriminator


def meter(target: BlackBoxTarget, ledger: Ledger, account: str) -> MeteredTarget:
    """Return `target` wrapped so that `account` pays for each of its images, with the same capabilities."""
    if isinstance(target, LatentTarget):
        if isinstance(target, WhiteBoxTarget):
            return MeteredWhiteBoxLatentTarget(target, target.discriminator, ledger, account)
        return MeteredLatentTarget(target, ledger, account)
    if isinstance(target, WhiteBoxTarget):
        return MeteredWhiteBoxTarget(target, ledger, account)
    return MeteredTarget(target, ledger, account)
