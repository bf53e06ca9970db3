"""A meter around a target: every image passes through the ledger, whoever asks.

The wrapper has just the capabilities of the target inside. D is handed through: it is held, not queried.
"""

from torch import Tensor

from ganguard.base.cache import tensor_digest
from ganguard.queries.ledger import Ledger, reservation_id
from ganguard.targets.protocol import (
    BlackBoxTarget,
    Discriminator,
    LatentTarget,
    WhiteBoxTarget,
    require_answer,
)


class MeteredTarget:
    """A BlackBoxTarget whose images are paid for by `account`. Raises BudgetError before an image too many is
    made."""

    def __init__(self, inner: BlackBoxTarget, ledger: Ledger, account: str) -> None:
        self._inner, self._ledger, self._account = inner, ledger, account
        self.identity = inner.identity
        self.image_shape = inner.image_shape

    def sample(self, indices: range, *, seed: int) -> Tensor:
        """Images (len(indices), C, H, W) uint8: reserved, then asked for, then recorded as delivered."""
        if indices.step != 1 or indices.start < 0 or not indices:
            raise ValueError(f"indices must be a range of step 1 from 0 up that is not empty; got {indices}")
        request = f"sample seed={seed} indices={indices.start}:{indices.stop}"
        reservation = self._reserve(request, len(indices))
        return self._delivered(self._inner.sample(indices, seed=seed), reservation, len(indices))

    def _reserve(self, request: str, images: int) -> str:
        reservation = reservation_id(self.identity, self._account, request)
        self._ledger.reserve(reservation, self._account, images, request)
        return reservation

    def _delivered(self, images: Tensor, reservation: str, count: int) -> Tensor:
        require_answer(images, self._inner, count)
        self._ledger.commit(reservation)
        return images


class MeteredLatentTarget(MeteredTarget):
    """The same around a LatentTarget. Drawing codes from the prior is free; images of codes are not."""

    def __init__(self, inner: LatentTarget, ledger: Ledger, account: str) -> None:
        super().__init__(inner, ledger, account)
        self._latent = inner
        self.latent_dim = inner.latent_dim

    def draw_latents(self, indices: range, *, seed: int) -> Tensor:
        """Codes (len(indices), latent_dim) from the target's prior."""
        return self._latent.draw_latents(indices, seed=seed)

    def generate(self, latents: Tensor) -> Tensor:
        """Images of chosen codes; the same codes asked for again as one request count once."""
        request = f"generate latents={tensor_digest({'latents': latents})}"
        reservation = self._reserve(request, len(latents))
        return self._delivered(self._latent.generate(latents), reservation, len(latents))


class MeteredWhiteBoxTarget(MeteredTarget):
    """The same around a WhiteBoxTarget."""

    def __init__(self, inner: WhiteBoxTarget, ledger: Ledger, account: str) -> None:
        super().__init__(inner, ledger, account)
        self.discriminator: Discriminator = inner.discriminator


class MeteredWhiteBoxLatentTarget(MeteredLatentTarget):
    """The same around a target that is both."""

    def __init__(
        self, inner: LatentTarget, discriminator: Discriminator, ledger: Ledger, account: str
    ) -> None:
        super().__init__(inner, ledger, account)
        self.discriminator = discriminator


def meter(target: BlackBoxTarget, ledger: Ledger, account: str) -> MeteredTarget:
    """Wrap `target` so that each of its images is paid for by `account`; the wrapper can just what the target
    can."""
    if isinstance(target, LatentTarget):
        if isinstance(target, WhiteBoxTarget):
            return MeteredWhiteBoxLatentTarget(target, target.discriminator, ledger, account)
        return MeteredLatentTarget(target, ledger, account)
    if isinstance(target, WhiteBoxTarget):
        return MeteredWhiteBoxTarget(target, ledger, account)
    return MeteredTarget(target, ledger, account)
