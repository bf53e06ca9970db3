"""Does an image follow from its code alone? Asked of a foreign generator before an image is bought.

An image that also depends on the rest of its batch, on its place there or on what was asked before would be
another one each time that a purchase is cut otherwise.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line

ROUNDING = 1 / 1000
"""At most this share of values may differ, and by one level, between two ways to ask: sums are rounded
otherwise at another place of a batch."""
MOST_NAMED = 3  # modules that a message names
DEEPEST = 4  # containers within each other in which modules are looked for

NOISE = (
    "It draws noise, or keeps something from one call to the next. Fix its noise, so that an image follows "
    "from its code; or, if noise is a part of it, set `stochastic: true` (python, torchscript, exported)."
)
Generate = Callable[[Tensor], Tensor]
"""Codes (64, latent_dim) -> images (64, C, H, W) uint8, in one call of the generator."""


class _Difference(NamedTuple):
    """How far two sets of images that must be equal differ: images that do, and levels at most."""

    images: int
    of: int
    levels: int
    rounding: bool

    def __str__(self) -> str:
        return f"{self.images} of {self.of} images differ, by up to {self.levels} levels of 255"


def require_pure(
    generate: Generate,
    module: nn.Module,
    z: Tensor,
    others: Tensor,
    images: Tensor,
    noise: str = NOISE,
    *,
    alone: int = 0,
) -> list[str]:
    """Return remarks on a generator's images.

    Every second code is asked for again in the reverse order and beside other codes; one alone, padded as a
    small request is; and all of them once more.

    Args:
        generate: makes one batch.
        module: the generator, in which the cause is looked for.
        z, others: two batches of codes (N, latent_dim), N even.
        images: the images that z gave first.
        noise: what to do about a generator whose images are others the second time.
        alone: row of the code that is asked for alone.

    Raises TargetError, with the likely cause, if an image depends on anything but its code.
    """
    mixed = others.clone()
    mixed[0::2] = z[1::2].flip(0)
    beside = _difference(images[1::2], _in_another_batch(generate, module, mixed)[0::2].flip(0))
    one = z[alone : alone + 1].expand(len(z), -1)
    by_itself = _difference(images[alone : alone + 1], _in_another_batch(generate, module, one)[:1])
    again = _difference(images, generate(z))
    found = [difference for difference in (again, beside, by_itself) if difference]
    if all(difference.rounding for difference in found):
        return [f"{found[0]} when they are asked for in another way: rounding"] if found else []
    worst = max(found, key=lambda difference: (difference.levels, difference.images))
    changes = again is not None and not again.rounding
    raise TargetError(_complaint(generate, module, z, worst, noise if changes else ""))


def _in_another_batch(generate: Generate, module: nn.Module, z: Tensor) -> Tensor:
    """Return the images of codes. Raises TargetError, with the likely cause, if there are none.

    A batch of equal codes has no deviation, and what is divided by it is NaN.
    """
    try:
        return generate(z)
    except TargetError as problem:
        raise TargetError(
            "the generator must give the same image for a code whatever stands beside it; in another batch "
            f"this came: {one_line(problem, 160)} {_cause(module) or _NEIGHBOURS}"
        ) from None


def _difference(images: Tensor, asked_again: Tensor) -> _Difference | None:
    """Return how two sets of images differ; None if they are equal."""
    if torch.equal(images, asked_again):
        return None
    apart = (images.to(torch.int16) - asked_again.to(torch.int16)).abs()
    levels = int(apart.max())
    rounding = levels == 1 and (apart > 0).float().mean().item() <= ROUNDING
    return _Difference(int((apart > 0).flatten(1).any(1).sum()), len(images), levels, rounding)


def _complaint(generate: Generate, module: nn.Module, z: Tensor, worst: _Difference, noise: str) -> str:
    """Return what an impure generator's images depend on. noise: what to do if equal batches gave different
    images; empty if they did not."""
    cause = _cause(module)
    if noise:
        wanted, otherwise, likely = "the same images for the same codes", "the second time", noise
    elif _seen(generate(z), generate(z.flip(0)).flip(0)):
        wanted, otherwise = "the same image for a code wherever it stands in a batch", "at another place"
        likely = _PLACE
    else:
        wanted, otherwise = "the same image for a code whatever stands beside it", "in another batch"
        likely = _NEIGHBOURS
    return f"the generator must give {wanted}; it gave others {otherwise} ({worst}). {cause or likely}"


_PLACE = (
    "Likely causes: noise that forward draws after setting a seed, so that it belongs to a place (leave the "
    "seed out, and set `stochastic: true`); or layers that mix the rows of a batch."
)
_NEIGHBOURS = (
    "Likely causes: normalisation by the batch, such as BatchNorm in training mode; a minimum, maximum, "
    "mean or deviation that forward takes over the whole batch; or one_hot of classes without num_classes."
)


def _seen(images: Tensor, asked_again: Tensor) -> bool:
    difference = _difference(images, asked_again)
    return difference is not None and not difference.rounding


def _cause(module: nn.Module) -> str:
    """Return a sentence on the layers that mix or change images, if there are any; empty otherwise."""
    looks = (_training, _without_statistics, _dynamically_quantised, _written_down, _hidden)
    return next((said for look in looks if (said := look(module))), "")


def _training(module: nn.Module) -> str:
    still = [name for name, part in module.named_modules() if part.training]
    if not still:
        return ""
    return f"Its eval() does not reach {_named(module, still)}, which stays in training mode."


def _without_statistics(module: nn.Module) -> str:
    without = [
        name
        for name, part in module.named_modules()
        if isinstance(part, nn.modules.batchnorm._BatchNorm)  # pyright: ignore[reportPrivateUsage]
        and part.running_mean is None
    ]
    if not without:
        return ""
    return f"{_named(module, without)} has no running statistics, and normalises by the batch."


def _dynamically_quantised(module: nn.Module) -> str:
    found = [name for name, part in module.named_modules() if ".quantized.dynamic." in type(part).__module__]
    return f"{_named(module, found)} {_DYNAMIC}" if found else ""


_DYNAMIC = (
    "is quantised dynamically: it rounds its input by the least and greatest value of the batch. Quantise it "
    "statically, or give the network in floats."
)


def _written_down(module: nn.Module) -> str:
    """Return a sentence on a TorchScript program that normalises or rounds by the batch whatever its mode."""
    if not isinstance(module, torch.jit.ScriptModule):
        return ""
    graph = cast(Any, module).inlined_graph
    for kind, argument in (("aten::batch_norm", 5), ("aten::dropout", 2)):
        for node in graph.findAllNodes(kind):
            if list(node.inputs())[argument].toIValue() is True:
                what = kind.removeprefix("aten::")
                return f"Its {what} was traced in training mode: call eval() before torch.jit.trace."
    return f"A layer {_DYNAMIC}" if graph.findNode("quantized::linear_dynamic") else ""


def _hidden(module: nn.Module) -> str:
    """Return a sentence on modules in training mode that the generator holds, and does not register."""
    registered = {id(part) for part in module.modules()}
    for part in module.modules():
        for name, value in vars(part).items():
            for held in _modules_in(value, DEEPEST):
                if id(held) not in registered and any(inner.training for inner in held.modules()):
                    return (
                        f"Its eval() does not reach the {type(held).__name__} in its attribute "
                        f"{one_line(name, 60)!r}, which is not registered as a submodule (nn.ModuleList "
                        "registers a list) and stays in training mode."
                    )
    return ""


def _modules_in(value: object, depth: int) -> Iterator[nn.Module]:
    """Yield the modules that an attribute holds: itself, in containers, or in what a function refers to."""
    if isinstance(value, torch.fx.GraphModule):
        return  # a graph that was exported has no modes, whatever its attribute says
    if isinstance(value, nn.Module):
        yield value
    elif depth:
        if isinstance(value, dict):
            parts: list[object] = list(cast(dict[Any, object], value).values())
        elif isinstance(value, list | tuple):
            parts = list(cast(list[object], value))
        elif callable(value):
            parts = [getattr(value, "__self__", None), *_closed_over(value)]
        else:
            parts = list(getattr(value, "__dict__", {}).values())
        for part in parts:
            yield from _modules_in(part, depth - 1)


def _closed_over(function: object) -> list[object]:
    """Return the variables of outer functions that a function uses, so far as they are set."""
    found: list[object] = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def _named(module: nn.Module, names: list[str]) -> str:
    """Return the first of some submodules, with their classes."""
    kinds = dict(module.named_modules())
    said = [f"{name or 'itself'} ({type(kinds[name]).__name__})" for name in names[:MOST_NAMED]]
    more = len(names) - MOST_NAMED
    return one_line(", ".join(said) + (f" and {more} more" if more > 0 else ""), 200)
