"""Targets as the sets of images that `ganguard measure` compares."""

from typing import TYPE_CHECKING

from ganguard.base.settings import shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from ganguard.base.compute import Compute
    from ganguard.comparison.image_sets import ImageSet
    from ganguard.targets.load import TargetSettings


def given_targets(
    texts: tuple[str, str], latent_dim: int | None, trusted: bool
) -> "list[TargetSettings | None]":
    """Return the target that each text names by its kind, or None if it names a set of images or a
    checkpoint.

    Raises SpecError if an option is of a target, and there is none, or if another machine answers for it.
    """
    from ganguard.base.errors import SpecError

    found = [_given_target(text, latent_dim, trusted) for text in texts]
    if (latent_dim or trusted) and not any(found):
        raise SpecError(
            "--latent-dim and --trusted are of a Python or TorchScript target, and neither is one. Leave "
            "them out."
        )
    return found


def _given_target(text: str, latent_dim: int | None, trusted: bool) -> "TargetSettings | None":
    from ganguard.base.errors import SpecError
    from ganguard.base.settings import one_line
    from ganguard.cli.options import names_target, target_of

    if not names_target(text):
        return None
    found = target_of(text, latent_dim, trusted)
    if found.remote:
        raise SpecError(
            f"{one_line(text, 80)}: its images are bought, and measuring buys none. Harvest some first "
            "(`ganguard harvest`), and measure the harvest."
        )
    return found


def of_target(settings: "TargetSettings", samples: int, compute: "Compute", seed: int) -> "ImageSet":
    """Return images that a target makes; a conditional one is asked uniformly. Those of codes can be pairs
    with another target's of such codes, and of the same conditions."""
    from ganguard.base.labels import Labels
    from ganguard.base.seeds import derived_seed
    from ganguard.comparison.image_sets import ImageSet, Origin, at_once
    from ganguard.comparison.pairing import Whole
    from ganguard.targets.ask import asked_of
    from ganguard.targets.conditions import conditions_of, sample
    from ganguard.targets.load import kind_of, load_target
    from ganguard.targets.protocol import LatentTarget

    target, indices = load_target(settings, compute), range(samples)
    step = at_once(target.image_shape)
    parts = [indices[start : start + step] for start in range(0, samples, step)]

    def read(seed: int) -> "Iterator[Tensor]":
        for part in parts:
            yield sample(target, part, seed=seed, conditions=asked_of(target, None, part, seed=seed))

    whole, conditions = None, conditions_of(target)
    if isinstance(target, LatentTarget):
        origin = f"codes of {target.latent_dim} numbers"
        if conditions is not None:
            origin += f", of {len(conditions)} {conditions.kind} ({shortened(', '.join(conditions.names))})"
        whole = Whole("code", samples, lambda _: read(derived_seed(0, "measure", "pairs")), origin=origin)
    asked = asked_of(target, None, indices, seed=seed)
    classes = Labels(asked, conditions.names) if conditions and asked is not None else None
    return ImageSet(
        samples, target.image_shape, lambda: read(seed), whole, Origin(kind_of(settings)), classes
    )
