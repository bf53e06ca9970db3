"""Linear interpolation (Hu & Pang 2021): codes become points on lines between codes of the same request.

The images are less diverse, since such points lie nearer to the origin than codes of the prior do: a mean of
two independent Gaussian codes has 0.71 of their norm (Agustsson et al. 2019). The distribution-preserving
variant of that paper undoes exactly this, so that the two together show the effect of the shrinking norm
alone.

It is a defence only if the provider draws the codes. A client that may send them can undo it: if a request
has one code twice, or nearly, each line ends where it begins, so that the undefended image comes back, at two
queries an image.
"""

from typing import Annotated, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.settings import Float, Positive
from ganguard.defences.protocol import InputDefence
from ganguard.defences.streams import Streams
from ganguard.targets.prior import PriorSettings


class LinearInterpolation(InputDefence):
    """Replace each code z of a request by (1 - t) z + t z', where z' is another code of the request.

    Attributes:
        weight: largest t, at most 1/2: then every point of every line can occur.
        points: number of values of t, evenly spaced up to `weight`; None draws t from [0, weight).
        endpoints: number of codes of the request that lines connect, at least 2; None takes all. Codes beyond
            the first `endpoints` are dropped, and replaced by points on the others' lines.
        preserve_distribution: divide by sqrt((1 - t)² + t²), so that the points follow the prior again. Of a
            prior other than normal they would not, and it is refused.
    """

    kind: Literal["linear_interpolation"] = "linear_interpolation"
    weight: Annotated[Float, Field(ge=0, le=0.5)] = 0.5
    points: Positive | None = None
    endpoints: Annotated[Positive, Field(ge=2)] | None = None
    preserve_distribution: bool = False

    def label(self) -> str:
        """Return the kind and the settings that differ from the defaults."""
        said = [f"{self.weight:g}"]
        said += [f"{self.points} points"] if self.points else []
        said += [f"{self.endpoints} endpoints"] if self.endpoints else []
        said += ["distribution preserved"] if self.preserve_distribution else []
        return f"linear interpolation {', '.join(said)}"

    def scaled(self, factor: float) -> Self:
        """Return the defence with `factor` times the weight, up to 1/2."""
        return self.model_copy(update={"weight": min(0.5, self.weight * factor)})

    def require_prior(self, prior: PriorSettings) -> None:
        """Raise SpecError if the distribution is to be preserved and is not normal."""
        if self.preserve_distribution and not prior.gaussian:
            raise SpecError(
                f"preserve_distribution divides so that points on lines follow a normal prior again; this "
                f"target's prior is {prior.kind}. Leave preserve_distribution out."
            )

    def move(self, latents: Tensor, streams: Streams) -> Tensor:
        """Return points (N, d) on lines between codes (N, d).

        A request of a single code has no partner. Its line ends at a code drawn from the target's prior, so
        that asking for one image at a time does not evade the defence.
        """
        u = streams.uniform(2).to(latents.device)  # columns: choice of the partner, t
        count, ends = len(latents), min(len(latents), self.endpoints or len(latents))
        if count == 1:
            mine, others = latents, streams.named("end").codes(latents.shape[1]).to(latents)
        else:
            own = torch.arange(count, device=latents.device) % ends
            # 1 ... ends - 1, so that no code is its own partner.
            steps = 1 + (u[:, 0] * (ends - 1)).long().clamp_(max=ends - 2)
            mine, others = latents[own], latents[(own + steps) % ends]
        share = u[:, 1:] if self.points is None else (u[:, 1:] * self.points + 1).floor() / self.points
        t = self.weight * share
        moved = (1 - t) * mine + t * others
        if self.preserve_distribution:
            moved = moved / ((1 - t).square() + t.square()).sqrt()
        return moved.to(latents.dtype)
