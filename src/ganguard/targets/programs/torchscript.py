"""A TorchScript generator as a target.

Such a file is a program: it is run only if the user says that it is trusted.
"""

from pathlib import Path

from pydantic import field_validator

from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import Positive, absolute
from ganguard.base.torchscript import load_program, trusted_digest
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.ranges import PixelRange
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import ModuleTarget


class TorchScriptTarget(TargetSettings):
    """`torchscript`: a file written by torch.jit.save.

    It maps z (N, latent_dim) float32 to images (N, C, H, W) in [-1, 1].

    Attributes:
        latent_dim: entries of z.
        trusted: must be true, since loading the file runs code in it.
        range: black and white in its images, such as [0, 255]; None stands for [-1, 1].
    """

    torchscript: str
    latent_dim: Positive
    trusted: bool = False
    range: PixelRange | None = None

    @field_validator("torchscript")
    @classmethod
    def _absolute(cls, path: str) -> str:
        return absolute(path)

    def fingerprint(self) -> str:
        """Return the digest of the file. Raises TargetError if it is not trusted or absent."""
        return trusted_digest(Path(self.torchscript), self.trusted, "generator", TargetError)

    def load(self, compute: Compute) -> ModuleTarget:
        """Load the file.

        Raises TargetError if it is not trusted, absent, no TorchScript, or no generator of images.
        """
        identity = f"torchscript:{self.fingerprint()}"
        foreign = ForeignCode()
        with foreign.running():
            module = load_program(Path(self.torchscript), TargetError)
        with naming(self.torchscript):
            return ModuleTarget(
                module,
                latent_dim=self.latent_dim,
                identity=identity,
                compute=compute,
                foreign=foreign,
                pixel_range=self.range,
            )
