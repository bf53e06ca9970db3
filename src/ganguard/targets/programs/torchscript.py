"""A TorchScript generator as a target.

Such a file is a program: it is run only if the user says that it is trusted.
"""

from pathlib import Path
from typing import Self

from pydantic import field_validator, model_validator

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import absolute
from ganguard.base.torchscript import load_program, trusted_digest
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.load import naming
from ganguard.targets.module import ModuleTarget
from ganguard.targets.stochastic import StochasticSettings, StochasticTarget


class TorchScriptTarget(StochasticSettings):
    """`torchscript`: a file written by torch.jit.save.

    It maps codes (N, latent_dim) or (N, *latent_shape) float32 to images (N, C, H, W) in [-1, 1].

    Attributes:
        trusted: must be true, since loading the file runs code in it.
    """

    torchscript: str
    trusted: bool = False

    @field_validator("torchscript")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.code_shape() is None:
            raise ValueError(
                "must have `latent_dim`, the entries of a code (on the command line, --latent-dim), or "
                "`latent_shape`: such a file does not say it"
            )
        return self

    def fingerprint(self) -> str:
        """Return the digest of the file. Raises TargetError if it is not trusted or absent."""
        return trusted_digest(Path(self.torchscript), self.trusted, "generator", TargetError)

    def load(self, compute: Compute) -> ModuleTarget | StochasticTarget:
        """Load the file.

        Raises TargetError if it is not trusted, absent, no TorchScript, or no generator of images.
        """
        identity = f"torchscript:{self.fingerprint()}"
        foreign = ForeignCode()
        with foreign.running():
            module = load_program(Path(self.torchscript), TargetError)
        shape = self.code_shape() or ()
        with naming(self.torchscript):
            return self.target_of(module, None, shape, identity=identity, compute=compute, foreign=foreign)
