"""What a conditional generator of somebody's is asked at first: does it take every class, and heed it?"""

import inspect
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ganguard.architectures.networks import DiscriminatorNetwork
from ganguard.base.settings import shortened
from ganguard.targets.conditions import Conditions

LABELS = (
    "y",
    "c",
    "label",
    "labels",
    "cls",
    "class_label",
    "class_labels",
    "classes",
    "condition",
    "conditions",
)
"""What the second argument of a discriminator's `forward` is called if it is the class."""


def spread(known: Conditions, count: int) -> Tensor:
    """Return the conditions that `count` codes are tried with, (count,) int64.

    All conditions are among the first half if it has room for them; if not, the first, the last, and some at
    equal distances. The second half begins with others.
    """
    half = count // 2
    if len(known) <= half:
        first = torch.arange(half) % len(known)
    else:
        first = torch.linspace(0, len(known) - 1, half, dtype=torch.float64).round().long()
    others = (first + max(1, len(known) // count)) % len(known)
    return torch.cat([first, others])


def of_conditions(generate: Callable[[Tensor], Tensor], rows: Tensor, known: Conditions) -> list[str]:
    """Return a remark if images are the same whichever of some conditions is asked for.

    Args:
        generate: makes one batch.
        rows: codes (N, d), and behind each the number of a condition.
        known: the conditions. At most N of them are tried, each with the same codes.
    """
    numbers = spread(known, 2 * len(rows))[: len(rows)].unique()
    tried = rows[: len(rows) // len(numbers)].repeat_interleave(len(numbers), 0)
    tried[:, -1] = numbers.repeat(len(tried) // len(numbers)).to(rows)
    images = generate(tried).unflatten(0, (-1, len(numbers))).transpose(0, 1)
    first: dict[bytes, int] = {}
    same = list[tuple[int, int]]()
    for number, of_one in zip(numbers.tolist(), images, strict=True):
        if (other := first.setdefault(of_one.numpy().tobytes(), number)) != number:
            same.append((other, number))
    if not same:
        return []
    if len(first) == 1:
        return [
            f"it gives the same images for each of the {len(known):,} {known.kind} that it may be asked for: "
            "have forward use them, or leave `classes` out"
        ]
    one, other = (shortened(known.names[number]) for number in same[0])
    return [
        f"{other} gives the same images as {one} ({len(first):,} of {len(numbers):,} {known.kind} that were "
        f"tried differ): check how many {known.kind} it has"
    ]


def hint(problem: str, known: Conditions | None) -> str:
    """Return what may be wrong with `classes` if a generator raised, as the end of a message; "" if
    nothing."""
    if known:
        return (
            f" It was called with codes and y (N,) int64 from 0 to {len(known) - 1}: set `classes` to the "
            "classes that it knows, or leave it out if it takes none."
        )
    wants = "required positional argument" in problem or "missing value for argument" in problem
    return " If it takes a class beside the codes, set `classes`." if wants else ""


def takes_labels(D: nn.Module) -> bool:
    """Return whether `forward` of a discriminator takes a class after the images: an argument that it needs,
    or that is called like one. A network of ganguard's says it."""
    if isinstance(D, DiscriminatorNetwork):
        return D.classes > 0
    try:
        arguments = list(inspect.signature(D.forward).parameters.values())
    except (TypeError, ValueError):
        return False
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    second = [argument for argument in arguments if argument.kind in by_place][1:2]
    return any(argument.default is inspect.Parameter.empty or argument.name in LABELS for argument in second)


def called_with(conditions: Tensor, network: Callable[..., object], rows: Tensor) -> object:
    """Return what a network makes of rows and the numbers of their conditions (N,): of a copy of these, which
    is made behind the guard."""
    return network(rows, conditions.clone())
