"""A journal that TensorBoard shows: losses, a judge's scores, images per second, and grids of samples."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ganguard.base.errors import SpecError
from ganguard.base.images import composed

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class TensorBoard:
    """A `reporting.Journal` in a directory of its own. Raises SpecError if TensorBoard is not installed.

    Args:
        directory: where TensorBoard finds it.
        judged: what the score is by which the published step is chosen, as TensorBoard shows it.
    """

    def __init__(self, directory: Path, *, judged: str = "FD to held-out images") -> None:
        require_tensorboard()
        self._directory, self._judged = directory, judged
        self._writer: SummaryWriter | None = None

    def begins(self, step: int) -> None:
        """Open the directory. Later steps that were noted there are not shown again."""
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(self._directory), purge_step=step + 1 if step else 0)

    def losses(self, step: int, losses: Mapping[str, float], *, images_per_second: float) -> None:
        for name, value in losses.items():
            self._write.add_scalar(f"loss/{name}", value, step)
        self._write.add_scalar("pace/images per second", images_per_second, step)

    def judged(self, step: int, score: float) -> None:
        self._write.add_scalar(self._judged, score, step)

    def samples(self, step: int, images: Tensor) -> None:
        self._write.add_images("samples", composed(images), step)
        self._write.flush()

    def close(self) -> None:
        """Write what is still buffered."""
        if self._writer is not None:
            self._writer.close()

    @property
    def _write(self) -> "SummaryWriter":
        if self._writer is None:
            self.begins(0)
        return self._writer  # pyright: ignore[reportReturnType]


def require_tensorboard() -> None:
    """Raise SpecError if TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard.writer  # noqa: F401  # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise SpecError(
            "--tensorboard needs TensorBoard. Install it: pip install 'ganguard[tensorboard]'."
        ) from None
