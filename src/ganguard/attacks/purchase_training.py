"""Train a substitute on what its adversary bought."""

from pathlib import Path

from torch import Tensor

from ganguard.attacks.labels import bought_labels
from ganguard.attacks.protocol import AttackSettings, Knowledge, Workspace
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.loop import train_generator
from ganguard.training.pairs import CodedImages
from ganguard.training.projected import Projection


def train_on_purchase(
    images: Tensor,
    target: BlackBoxTarget,
    settings: AttackSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
    pairs: CodedImages | None = None,
    projection: Projection | None = None,
) -> Path:
    """Train a substitute in the workspace on the first images of its purchase, and return its checkpoint.

    Args:
        images: all that were bought, (query_budget, C, H, W) uint8.
        target: what they were bought from.
        settings: the attack's.
        knowledge: only a guessed defence is used.
        workspace: its store says what was asked for as which class.
        seed: seed of the substitute's weights and training.
        pairs: codes of the images, if the substitute learns from them, too.
        projection: feature maps that its D looks at, if it does not look at pixels.
    """
    return train_generator(
        images,
        settings,
        workspace.directory,
        seed=seed,
        compute=workspace.compute,
        progress=workspace.progress,
        guess=knowledge.guessed_defence,
        labels=bought_labels(settings, target, workspace.store, settings.query_budget),
        pairs=pairs,
        projection=projection,
    )
