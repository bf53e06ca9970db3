"""In which numbers a training computes.

"bf16-mixed" is torch's autocast: weights, Adam's moments and the average of G's weights stay float32, and
networks run in bfloat16 where autocast says so, forward and backward. Losses are taken of float32 scores.
What needs the gradient of a gradient (R1, WGAN-GP, path lengths) runs in float32 altogether: eight bits are
too few for squares of small differences.
"""

from typing import Annotated

from pydantic import AfterValidator

KNOWN = ("32-true", "bf16-mixed")
_REFUSED = {
    "16-mixed": "float16 needs scaled losses, and penalties on gradients would be of the scaled ones",
    "16-true": "Adam's steps vanish in float16 weights",
    "bf16-true": "Adam's steps, and those of the average of G's weights, vanish in weights of eight bits",
    "64-true": "no training here gained by float64",
}


def _possible(precision: str) -> str:
    if precision not in KNOWN:
        why = f" ({_REFUSED[precision]})" if precision in _REFUSED else ""
        raise ValueError(f"must be one of {', '.join(KNOWN)}; got {precision[:40]!r}{why}")
    return precision


Precision = Annotated[str, AfterValidator(_possible)]
"""As Lightning Fabric names it: "32-true" or "bf16-mixed"."""
