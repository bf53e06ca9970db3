"""Are there enough images a set for distances within each class?"""

from itertools import count

from torch import Tensor

from ganguard.architectures.networks import classes_of
from ganguard.audit.plan.ground_work import TrainTargetSettings
from ganguard.audit.plan.parts import Plan
from ganguard.audit.spec.spec import Spec
from ganguard.audit.steps.real import Real
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import Conditions

RARE = 0.01  # a chance that is not worth a word
_SETS = 2  # that are compared


def few_of_a_class(known: Conditions | None, ask: Ask, samples: int) -> list[str]:
    """Return a warning, alone in a list, if comparisons will often have no mean within classes; none for a
    target without conditions.

    Args:
        known: what the target can be asked for.
        ask: how the audit asks.
        samples: images of each set that is measured.
    """
    if known is None or known.given is not None:
        return []
    chance = chance_of_few(known, ask, samples)
    if chance < RARE:
        return []
    step = 10 ** max(1, len(str(samples)) - 2)  # a round number is proposed
    enough = next(n for n in count(step, step) if n > samples and chance_of_few(known, ask, n) < RARE)
    often = "for certain" if chance > 1 - RARE else f"in about {chance:.0%} of all comparisons"
    one = {"classes": "class", "prompts": "prompt"}[known.kind]
    return [
        f"samples: {samples:,} is few for {len(ask.names(known)):,} {known.kind}: {often}, a set holds fewer "
        f"than two images of some {one}, and then intra_fd has no mean. Set samples to {enough:,} or more."
    ]


def few_of_what_is_learnt(spec: Spec, plan: Plan, real: Real) -> list[str]:
    """Return the same of a target that is still to be trained on real images."""
    training = plan.ground.target.settings
    learns = isinstance(training, TrainTargetSettings) and classes_of(training.training.architecture) > 0
    known = Conditions(names=real.classes) if learns and real.classes else None
    return few_of_a_class(known, spec.asks(None), spec.samples)


def chance_of_few(known: Conditions, ask: Ask, samples: int) -> float:
    """Return how likely one of two sets holds fewer than two images of a condition that is asked for."""
    shares = ask.shares(known)
    shares = shares[shares > 0]
    requests = samples // known.together
    if ask.is_uniform and known.in_turn:
        return float(requests // len(shares) * known.together < 2)
    few = _few(shares, requests, together=known.together > 1)
    return 1 - float((1 - few).clamp(min=0).prod()) ** _SETS


def _few(shares: Tensor, requests: int, *, together: bool) -> Tensor:
    """Return, by condition, how likely fewer than two images are asked for: no request, or one image."""
    none = (1 - shares) ** requests
    return none if together else none + requests * shares * (1 - shares) ** max(0, requests - 1)
