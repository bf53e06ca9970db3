"""What a training's settings are; what is left open comes from the architecture's paper."""

from typing import Annotated, Literal

from pydantic import Field

from ganguard.architectures.networks import ArchitectureField, recipe_of
from ganguard.base.settings import Positive, Settings
from ganguard.training.losses import LossName


class TrainingSettings(Settings):
    """How a GAN is trained.

    architecture: name or settings of G and D.
    steps: updates of G.
    batch_size: images of one update, real and generated alike.
    loss, learning_rate, betas, n_dis: loss name; Adam's step size and betas; updates of D per update of G. None takes the
        architecture's recipe.
    learning_rate_decay: "linear" lowers the learning rate to 0 over all steps; "none" keeps it.
    ema_decay: decay per step of the average of G's weights that is published; 0 publishes the last weights.
    checkpoint_every: steps between saved states, from which a killed training goes on.
    """

    architecture: ArchitectureField
    steps: Positive = 2500
    batch_size: Positive = 64
    loss: LossName | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] | None = None
    n_dis: Positive | None = None
    learning_rate_decay: Literal["linear", "none"] = "linear"
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    checkpoint_every: Positive = 500

    def completed(self) -> "CompleteTraining":
        """These settings with the open values taken from the architecture's recipe."""
        recipe = recipe_of(self.architecture)
        return CompleteTraining(
            loss=self.loss or recipe.loss,
            learning_rate=self.learning_rate or recipe.learning_rate,
            betas=self.betas or recipe.betas,
            n_dis=self.n_dis or recipe.n_dis,
        )


class CompleteTraining(Settings):
    """The values that a recipe may fill."""

    loss: LossName
    learning_rate: float
    betas: tuple[float, float]
    n_dis: int
