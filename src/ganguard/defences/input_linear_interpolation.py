"""Linear interpolation (Hu & Pang 2021): the codes of a request are replaced by points on lines between codes
of that request.

The images are less diverse, since such points lie nearer to the origin than codes of the prior do: a mean of
two independent Gaussian codes has 0.71 of their norm (Agustsson et al. 2019). The distribution-preserving
variant of that paper undoes just this, so that the two together show what the shrinking norm alone does.

It is a defence only where the provider draws the codes. A client that may send them undoes it: a request of
one code twice, or nearly, has only lines that end where they begin, so that the undefended image comes back,
at two queries an image.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.settings import Float, Positive
from ganguard.defences.protocol import InputDefence
from ganguard.defences.streams import Streams


class LinearInterpolation(InputDefence):
    """Each code of a request gets another for a partner, and becomes (1 - t) times itself and t times its
    partner.

    weight: the most that t can be, at most 1/2, where each point of each line can be met.
    points: t is one of so many evenly spaced shares of `weight`, the last being all of it; None draws t from
    [0, weight).
    endpoints: how many codes of the request lines run between, at least 2; None takes all of them. Codes
        beyond the first `endpoints` are left out, and points on the others' lines stand in for them.
    preserve_distribution: divide by sqrt((1 - t)² + t²), so that the points follow the prior N(0, I) again.
    """

    kind: Literal["linear_interpolation"] = "linear_interpolation"
    weight: Annotated[Float, Field(ge=0, le=0.5)] = 0.5
    points: Positive | None = None
    endpoints: Annotated[Positive, Field(ge=2)] | None = None
    preserve_distribution: bool = False

    def label(self) -> str:
        """Kind and what differs from the defaults."""
        said = [f"{self.weight:g}"]
        said += [f"{self.points} points"] if self.points else []
        said += [f"{self.endpoints} endpoints"] if self.endpoints else []
        said += ["distribution preserved"] if self.preserve_distribution else []
        return f"linear interpolation {', '.join(said)}"

    def scaled(self, factor: float) -> Self:
        """Lines of which `factor` times as much is used, up to all of them."""
        return self.model_copy(update={"weight": min(0.5, self.weight * factor)})

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Codes (N, d) to points (N, d) on lines between them. A request of one code has no other: its line
        ends at a code drawn from N(0, I), so that asking one by one is no way around."""
        u = streams.uniform(2).to(latents.device)  # which partner, how far
        count, ends = len(latents), min(len(latents), self.endpoints or len(latents))
        if count == 1:
            mine, others = latents, streams.named("end").normal(latents.shape[1]).to(latents)
        else:
            own = torch.arange(count, device=latents.device) % ends
            steps = 1 + (u[:, 0] * (ends - 1)).long().clamp_(
                max=ends - 2
            )  # 1 ... ends - 1: never a code's own end
            mine, others = latents[own], latents[(own + steps) % ends]
        t = self.weight * (
            u[:, 1:] if self.points is None else (u[:, 1:] * self.points + 1).floor() / self.points
        )
        moved = (1 - t) * mine + t * others
        if self.preserve_distribution:
            moved = moved / ((1 - t).square() + t.square()).sqrt()
        return moved.to(latents.dtype)
