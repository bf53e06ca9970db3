"""A ganguard checkpoint on Hugging Face's hub as a target.

Only its three files, of safetensors and JSON, are downloaded.
"""

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ganguard.architectures.checkpoint import DESCRIPTION, load_checkpoint
from ganguard.base.compute import Compute
from ganguard.base.errors import TargetError
from ganguard.base.settings import one_line
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.ranges import OWN
from ganguard.targets.foreign.settings import Interface
from ganguard.targets.load import TargetSettings, naming
from ganguard.targets.module import ModuleTarget
from ganguard.targets.stochastic import StochasticTarget, WhiteBoxStochasticTarget

FILES = (DESCRIPTION, "generator.safetensors", "discriminator.safetensors")
NAME = r"^[\w.-]{1,96}/[\w.-]{1,96}$"


class HubTarget(TargetSettings):
    """`hub`: owner/name of a repository whose root is a directory that `ganguard train` wrote.

    The files are kept in the cache of Hugging Face's client; the network is used only if they are not there.

    Attributes:
        revision: branch, tag or commit. With a commit, every audit on any machine audits the same target.
        stochastic: its G draws noise in `forward`, by intention; see `StochasticSettings`.
    """

    hub: Annotated[str, Field(pattern=NAME)]
    revision: Annotated[str, Field(min_length=1, max_length=200)] = "main"
    stochastic: bool = False

    def fingerprint(self) -> str:
        """Return the digest of checkpoint.json, after a download.

        Raises TargetError if it cannot be downloaded.
        """
        return self._checkpoint().fingerprint()

    def load(self, compute: Compute) -> ModuleTarget | StochasticTarget:
        """Download the checkpoint and load it.

        Raises TargetError if it cannot be downloaded, CheckpointError if it is no checkpoint.
        """
        kept = self._checkpoint()
        return self._with_noise(kept.path, compute) if self.stochastic else kept.load(compute)

    def _with_noise(self, directory: Path, compute: Compute) -> StochasticTarget:
        checkpoint = load_checkpoint(directory)
        networks, names = checkpoint.networks, checkpoint.description.class_names
        known = Conditions(names=names) if names else None
        with naming(self.hub):
            made = partial(StochasticTarget, networks.generator)
            if networks.discriminator is not None:
                made = partial(WhiteBoxStochasticTarget, networks.generator, networks.discriminator)
            return made(
                latent_dim=networks.generator.latent_dim,
                identity=f"checkpoint:{checkpoint.digest()}",
                compute=compute,
                foreign=ForeignCode(),
                interface=Interface(pixel_range=OWN, conditions=known),
            )

    def _checkpoint(self) -> CheckpointTarget:
        return CheckpointTarget(checkpoint=str(_fetched(self.hub, self.revision)))


def _fetched(name: str, revision: str) -> Path:
    """Return the directory in which the hub's client keeps the checkpoint."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import disable_progress_bars  # pyright: ignore[reportPrivateImportUsage]
    except ImportError:
        raise TargetError(
            f"{name}: the package huggingface_hub is absent. Run pip install 'ganguard[huggingface]'."
        ) from None
    disable_progress_bars("huggingface_hub.snapshot_download")
    # Each version of the client raises its own error if the files are not there yet, or not all of them.
    with suppress(Exception):
        kept = Path(
            snapshot_download(name, revision=revision, allow_patterns=list(FILES), local_files_only=True)
        )
        if all((kept / file).is_file() for file in FILES):
            return kept
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(FILES)))
    except Exception as problem:  # noqa: BLE001 - the client raises its own errors, HTTP's, and the system's
        raise TargetError(
            f"{name}: revision {one_line(revision, 60)!r} cannot be downloaded from Hugging Face's hub "
            f"({one_line(problem, 160)}). Check the name and the network, or download the checkpoint on "
            "another machine and give its directory as `checkpoint`."
        ) from None
