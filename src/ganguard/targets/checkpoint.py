"""A GAN in ganguard's own checkpoint format as a target.

It is a white box, since its discriminator lies beside it.
"""

from dataclasses import replace
from pathlib import Path

from pydantic import field_validator

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.base.compute import Compute
from ganguard.base.settings import absolute
from ganguard.targets.batching import require_micro_batch
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.settings import PLAIN
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import WhiteBoxModuleTarget


class CheckpointTarget(TargetSettings):
    """`checkpoint`: a directory that `ganguard train` or `ganguard attack` wrote."""

    checkpoint: str

    @field_validator("checkpoint")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.checkpoint)

    def fingerprint(self) -> str:
        """Return the digest of checkpoint.json, which holds the digests of the weights.

        Raises CheckpointError.
        """
        return read_description(self.path).fingerprint()

    def load(self, compute: Compute) -> WhiteBoxModuleTarget:
        """Load the checkpoint.

        Raises CheckpointError if it cannot be read, and TargetError if the generator's output is not images,
        or too large.
        """
        checkpoint = load_checkpoint(self.path)
        networks, names = checkpoint.networks, checkpoint.description.class_names
        with naming(self.checkpoint):
            require_micro_batch(checkpoint.description.image_shape)
            return WhiteBoxModuleTarget(
                networks.generator,
                networks.discriminator,
                latent_dim=networks.generator.latent_dim,
                identity=f"checkpoint:{checkpoint.digest()}",
                compute=compute,
                ours=True,
                interface=replace(PLAIN, conditions=Conditions(names=names)) if names else PLAIN,
            )
