"""A generator in ganguard's own checkpoint format as a target.

A GAN is a white box, since its discriminator lies beside it.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from pydantic import field_validator

from ganguard.architectures.checkpoint import load_checkpoint, read_description
from ganguard.base.compute import Compute
from ganguard.base.settings import Sparse, absolute
from ganguard.targets.batching import require_micro_batch
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.settings import PLAIN, Interface
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
from ganguard.targets.prior import NORMAL, KnownPrior


class CheckpointTarget(Sparse, TargetSettings):
    """`checkpoint`: a directory that `ganguard train` or `ganguard attack` wrote.

    Attributes:
        checkpoint: the directory.
        prior: how codes are distributed, such as "truncated" (Brock et al. 2019, section 3.1). Records leave
            out N(0, I), which every G of ganguard was trained with.
    """

    unsaid: ClassVar[frozenset[str]] = frozenset({"prior"})
    checkpoint: str
    prior: KnownPrior = NORMAL

    @field_validator("checkpoint")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @property
    def path(self) -> Path:
        """The directory."""
        return Path(self.checkpoint)

    def fingerprint(self) -> str:
        """Return the digest of checkpoint.json, which holds the digests of the weights, and of another prior
        than the usual one.

        Raises CheckpointError.
        """
        return read_description(self.path).fingerprint() + self._interface.said()

    @property
    def _interface(self) -> Interface:
        return replace(PLAIN, prior=self.prior)

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the checkpoint: a WhiteBoxModuleTarget if there is a discriminator.

        Raises CheckpointError if it cannot be read, and TargetError if the generator's output is not images,
        or too large.
        """
        checkpoint = load_checkpoint(self.path)
        networks, names = checkpoint.networks, checkpoint.description.class_names
        with naming(self.checkpoint):
            require_micro_batch(checkpoint.description.image_shape)
            made = partial(ModuleTarget, networks.generator)
            if networks.discriminator is not None:
                made = partial(WhiteBoxModuleTarget, networks.generator, networks.discriminator)
            return made(
                latent_dim=networks.generator.latent_dim,
                identity=f"checkpoint:{checkpoint.digest()}{self._interface.said()}",
                compute=compute,
                ours=True,
                interface=replace(self._interface, conditions=Conditions(names=names) if names else None),
            )
