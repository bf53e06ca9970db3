"""Any vision model that transformers knows, by its directory or its name on Hugging Face's hub.

Stein et al. 2023 find that features of DINOv2 agree with people about generated images better than
Inception's do. Weights are read from safetensors only, and no code that comes with a model is run.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import field_validator
from torch import Tensor, nn

from ganguard.base.cache import content_key, file_digest
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.settings import absolute, one_line
from ganguard.metrics.features.network import FeatureNetwork, FeatureSettings, Sha256, require_same
from ganguard.metrics.features.preprocessing import Preprocessing, read_preprocessing, with_channels

CONFIG, PREPROCESSING = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")


class HuggingFace(FeatureSettings):
    """Settings of a model of transformers.

    model: a directory that save_pretrained wrote, with a preprocessor_config.json; or a name on the hub,
        whose files are downloaded to Hugging Face's own cache.
    revision: branch, tag or commit on the hub.
    sha256: over the SHA-256 of its files; others are refused.
    """

    kind: Literal["huggingface"] = "huggingface"
    model: str = "facebook/dinov2-base"
    revision: str = "main"
    sha256: Sha256 | None = None
    libraries: ClassVar[tuple[str, ...]] = ("transformers",)

    @field_validator("model")
    @classmethod
    def _absolute(cls, model: str) -> str:
        full = absolute(model)
        return full if Path(full).is_dir() else model

    def fingerprint(self) -> str:
        """SHA-256 over the files that are read; of a name on the hub after a download. Raises CheckpointError
        where they are absent, or not those that are pinned."""
        return require_same(self.model, self.sha256, _digest(self._directory()))

    def load(self, directory: Path, channels: int) -> "HuggingFaceNetwork":
        """The network. Raises CheckpointError as `fingerprint` does, and where transformers cannot open
        it."""
        files = self._directory()
        require_same(self.model, self.sha256, _digest(files))
        preprocessing = read_preprocessing(files / PREPROCESSING)
        return HuggingFaceNetwork(self.model, preprocessing, *_load_model(files, self.model))

    def _directory(self) -> Path:
        return Path(self.model) if Path(self.model).is_dir() else _from_hub(self.model, self.revision)


class HuggingFaceNetwork(FeatureNetwork):
    """images (N, C, H, W) uint8 -> features (N, D), float32; grey images are repeated.

    The features are the model's pooled output where its weights have one (of an image-and-text model, its
    image half's, before the projection). Otherwise they are the last layer's class token, where there is one,
    or the mean over its places.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1
    at_once: ClassVar[int | None] = 64

    def __init__(self, name: str, preprocessing: Preprocessing, model: nn.Module, pooled: bool) -> None:
        super().__init__()
        self.name, self.preprocessing, self.pooled = name, preprocessing, pooled
        self.model = model
        last = {parameter.rpartition(".")[2] for parameter, _ in model.named_parameters()}
        self.class_token = bool(last & {"cls_token", "class_embedding"})

    def features(self, images: Tensor) -> Tensor:
        """The features. Raises MetricError where the model raises on images of this size."""
        pixels = self.preprocessing(with_channels(images, 3))
        try:
            return self._rows(self.model(pixel_values=pixels))
        except Exception as problem:  # noqa: BLE001 - each of hundreds of models raises its own
            said = one_line(str(problem) or type(problem).__name__, 200)
            raise MetricError(
                f"{self.name}: raised on pixels {tuple(pixels.shape)}: {said}. Look at the size in its "
                f"{PREPROCESSING}."
            ) from None

    def _rows(self, output: Any) -> Tensor:
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        if self.pooled and pooled is not None:
            return pooled.flatten(1)
        last: Tensor = output.last_hidden_state  # tokens (N, T, D), or places (N, D, H, W)
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self.class_token else last.mean(1)


def _digest(directory: Path) -> str:
    """SHA-256 over names and SHA-256 of what is read. Raises CheckpointError where it is no model with safe
    weights."""
    if not _is_model(directory):
        raise CheckpointError(
            f"{directory}: must hold {CONFIG} and {WEIGHTS[0]}; it does not. Weights in pickles are not "
            "read: open them where you trust them, and save_pretrained the model here."
        )
    files = [file for pattern in (CONFIG, PREPROCESSING, *WEIGHTS) for file in directory.glob(pattern)]
    return content_key(files={file.name: file_digest(file) for file in files})


def _is_model(directory: Path) -> bool:
    return (directory / CONFIG).is_file() and any((directory / name).is_file() for name in WEIGHTS[:2])


def _from_hub(model: str, revision: str) -> Path:
    """The directory in which the hub's client keeps a model's files. Only where they are not there yet is the
    network asked."""
    with _quietly(model):
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        wanted = [CONFIG, PREPROCESSING, *WEIGHTS]
        with suppress(LocalEntryNotFoundError, ValueError):
            kept = Path(
                snapshot_download(model, revision=revision, allow_patterns=wanted, local_files_only=True)
            )
            if _is_model(kept):
                return kept
        try:
            return Path(snapshot_download(model, revision=revision, allow_patterns=wanted))
        except Exception as problem:  # noqa: BLE001 - the client raises its own errors, HTTP's, and the system's
            raise CheckpointError(
                f"{one_line(model, 200)}: no directory here, and not to be had from Hugging Face's hub "
                f"({one_line(problem, 160)}). Give the directory of a model, or a name on the hub and a "
                "network to reach it by."
            ) from None


def _load_model(directory: Path, name: str) -> tuple[nn.Module, bool]:
    """The model, or its image half, and whether the weights of its pooling are there.

    Whatever lacks weights is drawn at random by transformers: of the global generator, which is put back as
    it was.
    """
    with _quietly(name), torch.random.fork_rng(devices=[]):
        from transformers import AutoModel

        try:
            loaded: Any = AutoModel.from_pretrained(
                directory,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as problem:  # noqa: BLE001 - on a damaged or foreign model, transformers raises whatever it finds
            said = one_line(str(problem) or type(problem).__name__, 200)
            raise CheckpointError(f"{name}: not a model that transformers can open ({said}).") from None
    model, said = loaded
    missing: list[str] = sorted(said["missing_keys"])
    if others := [key for key in missing if "pooler" not in key]:
        raise CheckpointError(
            f"{name}: its weights lack {len(others)} tensors, such as {others[0]}. Give the whole model."
        )
    return getattr(model, "vision_model", model), not missing


@contextmanager
def _quietly(name: str) -> Generator[None]:
    """What transformers and the hub's client say and draw beside their work is not shown. Raises
    CheckpointError where they are not installed."""
    try:
        from transformers.utils import logging
    except ImportError:
        raise CheckpointError(
            f"{name}: the package transformers is absent or incomplete. Run pip install "
            "'ganguard[huggingface]'."
        ) from None
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
