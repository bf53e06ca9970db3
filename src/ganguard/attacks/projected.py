"""What a copy's projected D looks at, as the adversary knows it."""

from ganguard.attacks.protocol import Knowledge
from ganguard.base.errors import SpecError
from ganguard.training.projected import Projection
from ganguard.training.settings import TrainingSettings


def projection_of(settings: TrainingSettings, knowledge: Knowledge) -> Projection | None:
    """Return the feature maps that a training's D looks at, or None if it looks at pixels.

    Raises SpecError, to be asked for before anything is bought, if the adversary has no feature network.
    """
    if settings.discriminator is None:
        return None
    if knowledge.project is None:
        raise SpecError(
            "discriminator: the adversary has no feature network for D to look through. Give it `project`."
        )
    return knowledge.project(settings.discriminator)
