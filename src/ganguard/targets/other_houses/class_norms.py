"""The BatchNorm by class of other packages' generators, as that of ganguard, or as BatchNorm for one class.

- StudioGAN: the scale is 1 plus a column of a matrix `gain`, the shift a column of a matrix `bias`.
- mimicry: a row of one embedding `embed` holds the scale, and behind it the shift.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from ganguard.base.errors import TargetError

_RUNNING = ("running_mean", "running_var", "num_batches_tracked")


def by_class(weights: Mapping[str, Tensor], label: int | None) -> tuple[dict[str, Tensor], int]:
    """Return a G's weights with a scale and a shift for each class, by ganguard's names for these, and how
    many classes there are; 0 if there are none, or one of them is chosen.

    label: the only class whose images it shall make.

    Raises TargetError if the label is beyond the classes, or there are none; or if layers disagree.
    """
    found = dict(weights)
    norms = {stem: norm for stem in _stems(weights) if (norm := _taken(found, stem))}
    known = _classes(list(norms.values()))
    if label is not None and label >= known:
        raise TargetError(
            f"its generator makes images of {known} classes: set `label` to 0 … {known - 1}, or leave it out "
            f"to ask for any of them; got {label}."
            if known
            else f"its generator knows no classes; got label {label}. Leave label out."
        )
    for stem, (scale, shift) in norms.items():
        if label is None:
            found |= {f"{stem}.scale.weight": scale, f"{stem}.shift.weight": shift}
        else:
            found |= {f"{stem}.weight": scale[label].clone(), f"{stem}.bias": shift[label].clone()}
        norm_of = f"{stem}.norm" if label is None else stem
        for part in _RUNNING:
            if f"{stem}.bn.{part}" in found:
                found[f"{norm_of}.{part}"] = found.pop(f"{stem}.bn.{part}")
    return found, known if label is None else 0


def _classes(norms: list[tuple[Tensor, Tensor]]) -> int:
    """Return how many classes some layers know, 0 without any. Raises TargetError if they disagree."""
    known = {len(part) for norm in norms for part in norm}
    if len(known) > 1 or any(scale.shape != shift.shape for scale, shift in norms):
        raise TargetError(f"its layers must know the same classes; they know {sorted(known)}.")
    return next(iter(known), 0)


def _stems(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the layers that may have a scale and a shift by class."""
    ends = (".gain.weight", ".embed.weight")
    return [name.removesuffix(end) for name in weights for end in ends if name.endswith(end)]


def _taken(weights: dict[str, Tensor], stem: str) -> tuple[Tensor, Tensor] | None:
    """Take the scale and the shift of a layer, each (classes, channels), out of the weights; None if they are
    of another form."""
    mean, embed = weights.get(f"{stem}.bn.running_mean"), weights.get(f"{stem}.embed.weight")
    gain, bias = weights.get(f"{stem}.gain.weight"), weights.get(f"{stem}.bias.weight")
    if mean is None:
        return None
    if embed is not None and embed.ndim == 2 and embed.shape[1] == 2 * len(mean):
        del weights[f"{stem}.embed.weight"]
        scale, shift = embed.chunk(2, 1)
    elif gain is not None and bias is not None and gain.ndim == bias.ndim == 2 and len(gain) == len(mean):
        del weights[f"{stem}.gain.weight"], weights[f"{stem}.bias.weight"]
        scale, shift = (1 + gain).T, bias.T
    else:
        return None
    return scale.contiguous(), torch.clone(shift, memory_format=torch.contiguous_format)
