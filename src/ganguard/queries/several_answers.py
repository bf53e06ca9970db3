"""How an adversary asks for every code several times: for the mean of the answers, or for each of them."""

from ganguard.queries.asked_again import ask_again
from ganguard.queries.averaged_target import average
from ganguard.targets.protocol import BlackBoxTarget


def ask_several_times(
    target: BlackBoxTarget, copies: int, moved: float, *, apart: bool, each: bool
) -> BlackBoxTarget:
    """Return a metered target wrapped so that every code is asked for `copies` times.

    Raises TargetError if it cannot be asked so.

    Args:
        target: the metered target.
        copies: how many times.
        moved, apart: as `average` takes them.
        each: whether each answer is an image, or their mean.
    """
    return ask_again(target, copies) if each else average(target, copies, moved, apart)
