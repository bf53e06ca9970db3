"""What tells one training from another: the key of its saved states, and the provenance of its checkpoint."""

from dataclasses import dataclass
from typing import Any

from ganguard.base.cache import tensor_digest
from ganguard.base.image_rows import Images
from ganguard.base.labels import Labels
from ganguard.training.course import ANY_STEPS
from ganguard.training.differential_privacy import Guarantee, PrivateTraining, guarantee_of
from ganguard.training.early_stopping import Watch
from ganguard.training.guess import Guess
from ganguard.training.initial_weights import RANDOM_WEIGHTS, InitialWeights
from ganguard.training.pairs import CodedImages
from ganguard.training.processes import Devices
from ganguard.training.projected import Projection
from ganguard.training.settings import TrainingSettings


@dataclass(frozen=True)
class TrainingIdentity:
    """What a training learns, whatever computes it and however far it goes.

    Attributes:
        parts: all of it, by name: settings as they are, and digests. A state that was saved under another
            identity is not continued.
        images: digest of the images.
        labels: digest of their classes; None without classes.
        provenance: JSON values, for the checkpoint.
        guarantee: of a differentially private training; None if it is none.
    """

    parts: dict[str, Any]
    images: str
    labels: str | None
    provenance: dict[str, Any]
    guarantee: Guarantee | None


def identify(  # noqa: PLR0913 - those of `train_generator`
    images: Images,
    settings: TrainingSettings,
    *,
    seed: int,
    devices: Devices,
    initial_weights: InitialWeights,
    watch: Watch | None,
    guess: Guess | None,
    labels: Labels | None = None,
    pairs: CodedImages | None = None,
    projection: Projection | None = None,
) -> TrainingIdentity:
    """Return the identity of a training, which has the arguments of `train_generator`.

    initial_weights: those that the training really begins with.
    """
    recipe, guarantee = settings.recipe(), _guarantee(settings, len(images))
    seen = tensor_digest({"images": images})
    parts: dict[str, Any] = {
        "settings": {name: value for name, value in recipe.items() if name not in ANY_STEPS},
        "seed": seed,
        "images": seen,
    }
    parts |= {} if initial_weights is RANDOM_WEIGHTS else {"beginning": initial_weights.digest()}
    known = tensor_digest({"labels": labels.numbers}) if labels else None
    parts |= {"labels": known, "names": [*labels.names]} if labels else {}
    parts |= {"judge": watch.digest()} if watch else {}
    parts |= {"guess": guess.digest} if guess else {}
    parts |= {"pairs": pairs.identity()} if pairs else {}
    parts |= {"projection": projection.digest} if projection else {}
    parts |= {"differential_privacy": guarantee.said() | _noise(settings)} if guarantee else {}
    provenance = {"training": recipe, "seed": seed, "images": len(images), **_several(devices)}
    provenance |= {"beginning": parts["beginning"]} if settings.beginning else {}
    provenance |= {"pairs": pairs.said()} if pairs else {}
    if guarantee:
        provenance["differential_privacy"] = guarantee.said() | _noise(settings)
        if settings.beginning:
            provenance["differential_privacy"]["not_covered"] = "the training of the checkpoint it began with"
    return TrainingIdentity(parts, seen, known, provenance, guarantee)


def _guarantee(settings: TrainingSettings, images: int) -> Guarantee | None:
    if not isinstance(settings, PrivateTraining) or settings.differential_privacy is None:
        return None
    updates = settings.steps * settings.completed().n_dis
    return guarantee_of(
        settings.differential_privacy, images=images, batch_size=settings.batch_size, updates=updates
    )


def _noise(settings: TrainingSettings) -> dict[str, Any]:
    """Return the seed of a private training's noise, if its settings give one; nothing tells a secret one."""
    private = settings.differential_privacy if isinstance(settings, PrivateTraining) else None
    return {} if private is None or private.noise_seed is None else {"noise_seed": private.noise_seed}


def _several(devices: Devices) -> dict[str, Any]:
    """Return what records say about several devices, whose results equal those of one except for rounding."""
    return {} if devices.count == 1 else {"devices": devices.model_dump(mode="json")}
