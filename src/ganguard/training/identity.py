"""What tells one training from another: the key of its saved states, and the provenance of its checkpoint."""

from dataclasses import dataclass
from typing import Any

from ganguard.base.cache import content_key, tensor_digest
from ganguard.base.compute import Compute
from ganguard.base.image_rows import Images
from ganguard.training.differential_privacy import Guarantee, PrivateTraining, guarantee_of
from ganguard.training.early_stopping import Watch
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.processes import Devices
from ganguard.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingIdentity:
    """Everything that a training's result depends on.

    Attributes:
        key: digest of all of it; a state that was saved under another key is not continued.
        images: digest of the images.
        provenance: JSON values, for the checkpoint.
        guarantee: of a differentially private training; None if it is none.
    """

    key: str
    images: str
    provenance: dict[str, Any]
    guarantee: Guarantee | None


def identify(
    images: Images,
    settings: TrainingSettings,
    *,
    seed: int,
    compute: Compute,
    devices: Devices,
    initial_weights: InitialWeights,
    watch: Watch | None,
    guess: Guess | None,
) -> TrainingIdentity:
    """Return the identity of a training, which has the arguments of `train_gan`."""
    recipe, guarantee = settings.recipe(), _guarantee(settings, len(images))
    seen = tensor_digest({"images": images})
    key = content_key(
        settings=recipe,
        seed=seed,
        images=seen,
        compute=compute.model_dump(mode="json"),
        **({} if initial_weights is RANDOM_WEIGHTS else {"beginning": initial_weights.digest()}),
        **({"watch": watch.digest()} if watch else {}),
        **({"guess": guess.digest} if guess else {}),
        **({"privacy": guarantee.said()} if guarantee else {}),
        **_several(devices),
    )
    provenance = {"training": recipe, "seed": seed, "images": len(images), **_several(devices)}
    provenance |= {"differential_privacy": guarantee.said()} if guarantee else {}
    return TrainingIdentity(key, seen, provenance, guarantee)


def _guarantee(settings: TrainingSettings, images: int) -> Guarantee | None:
    if not isinstance(settings, PrivateTraining) or settings.differential_privacy is None:
        return None
    updates = settings.steps * settings.completed().n_dis
    return guarantee_of(
        settings.differential_privacy, images=images, batch_size=settings.batch_size, updates=updates
    )


def _several(devices: Devices) -> dict[str, Any]:
    """Return what records say about several devices, whose results equal those of one except for rounding."""
    return {} if devices.count == 1 else {"devices": devices.model_dump(mode="json")}
