"""Which codes a client sends, where it sends any."""

from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.targets.ask import Ask
from ganguard.targets.prior import OfIndices
from ganguard.targets.protocol import Codes, LatentTarget


def require_codes_sent(ask: Ask | None, codes: Codes) -> None:
    """Raise SpecError if a way to ask sends codes of its own, and the provider draws them.

    codes: who draws them.
    """
    if ask is not None and ask.sends_codes and codes != "client":
        raise SpecError(
            f"ask: {ask.field_of_codes()} is of codes that the client sends, and here the provider draws "
            "them. Set codes: client."
        )


def codes_to_send(target: LatentTarget, ask: Ask | None, indices: range, *, seed: int) -> Tensor:
    """Return the codes that a client sends for images, (len(indices), latent_dim) float32.

    The code of image i is a pure function of (seed, i): of the target's own prior, or of the law that `ask`
    names.
    """
    if ask is None or ask.prior is None:
        return target.draw_latents(indices, seed=seed)
    return ask.prior.draw(OfIndices(seed, indices), target.latent_dim)
