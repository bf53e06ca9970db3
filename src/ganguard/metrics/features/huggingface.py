"""Any vision model that transformers knows, by its directory or its name on Hugging Face's hub.

Stein et al. 2023 find that features of DINOv2 agree better with people's judgement of generated images than
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


class Model(FeatureSettings):
    """Settings of a model of transformers.

    Attributes:
        model: a directory that save_pretrained wrote, with a preprocessor_config.json; or a name on the hub,
            whose files are downloaded to Hugging Face's own cache.
        revision: branch, tag or commit on the hub.
        sha256: digest over the names and SHA-256 of its files; other files are refused.
    """

    model: str = "facebook/dinov2-base"
    revision: str = "main"
    sha256: Sha256 | None = None
    libraries: ClassVar[tuple[str, ...]] = ("transformers",)
    pretrained: ClassVar[bool] = True

    @field_validator("model")
    @classmethod
    def _absolute(cls, model: str) -> str:
        full = absolute(model)
        return full if Path(full).is_dir() else model

    def fingerprint(self) -> str:
        """Return the SHA-256 over the files that are read, downloading them first for a name on the hub.

        Raises CheckpointError if they are absent, or not the pinned ones.
        """
        return require_same(self.model, self.sha256, _digest(self.directory()))

    def load(self, directory: Path, channels: int) -> "HuggingFaceNetwork":
        """Return the network.

        Raises CheckpointError as `fingerprint` does, and if transformers cannot open the model.
        """
        files = self.directory()
        require_same(self.model, self.sha256, _digest(files))
        preprocessing = read_preprocessing(files / PREPROCESSING)
        model, pooled = load_model(files, self.model, "AutoModel")
        image_half = getattr(model, "vision_model", model)
        return HuggingFaceNetwork(self.model, preprocessing, image_half, pooled)

    def directory(self) -> Path:
        """Return where the model's files are, downloading them first for a name on the hub."""
        return Path(self.model) if Path(self.model).is_dir() else _from_hub(self.model, self.revision)


class HuggingFace(Model):
    """Settings of any model of transformers."""

    kind: Literal["huggingface"] = "huggingface"


class DinoV2(Model):
    """Settings of DINOv2, by one word; `model` names another size of it, or a directory."""

    kind: Literal["dinov2"] = "dinov2"


class HuggingFaceNetwork(FeatureNetwork):
    """Images (N, C, H, W) uint8 -> features (N, D) float32; grey images are repeated to three channels.

    The features are the model's pooled output if its weights include the pooling (for an image-and-text
    model, that of the image half, before the projection). Otherwise they are the last layer's class token if
    there is one, or else the mean over positions.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "uint8"
    smallest_side: ClassVar[int] = 1
    at_once: ClassVar[int | None] = 64
    bytes_a_pixel: ClassVar[int] = 512  # of a transformer of 1,536 channels, whose patches are 14x14

    def __init__(self, name: str, preprocessing: Preprocessing, model: nn.Module, pooled: bool) -> None:
        super().__init__()
        self.name, self.preprocessing, self.pooled = name, preprocessing, pooled
        self.model = model
        last = {parameter.rpartition(".")[2] for parameter, _ in model.named_parameters()}
        self.class_token = bool(last & {"cls_token", "class_embedding"})

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes that it works in for one image, at the size that its preprocessing gives."""
        return super().working_bytes(*self.preprocessing.size_of(height, width))

    def features(self, images: Tensor) -> Tensor:
        """Return the features. Raises MetricError if the model fails on images of this size."""
        pixels = self.preprocessing(with_channels(images, 3))
        try:
            return self._rows(self.model(pixel_values=pixels))
        except Exception as problem:  # noqa: BLE001 - each of hundreds of models raises its own
            said = one_line(str(problem) or type(problem).__name__, 200)
            raise MetricError(
                f"{self.name}: failed on pixels {tuple(pixels.shape)}: {said}. Check the size in its "
                f"{PREPROCESSING}."
            ) from None

    def _rows(self, output: Any) -> Tensor:
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        if self.pooled and pooled is not None:
            return pooled.flatten(1)
        last: Tensor = output.last_hidden_state  # tokens (N, T, D), or a feature map (N, D, H, W)
        if last.ndim == 4:
            return last.mean((2, 3))
        return last[:, 0] if self.class_token else last.mean(1)


def _digest(directory: Path) -> str:
    """Return the SHA-256 over names and digests of the files that are read.

    Raises CheckpointError if the directory holds no model with weights in safetensors.
    """
    if not _is_model(directory):
        raise CheckpointError(
            f"{directory}: must hold {CONFIG} and {WEIGHTS[0]}; it does not. Pickled weights are not read: "
            "load them where you trust them, and save the model here with save_pretrained."
        )
    files = [file for pattern in (CONFIG, PREPROCESSING, *WEIGHTS) for file in directory.glob(pattern)]
    return content_key(files={file.name: file_digest(file) for file in files})


def _is_model(directory: Path) -> bool:
    return (directory / CONFIG).is_file() and any((directory / name).is_file() for name in WEIGHTS[:2])


def _from_hub(model: str, revision: str) -> Path:
    """Return the directory in which the hub's client keeps a model's files.

    The network is used only if they are not there yet.
    """
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
                f"{one_line(model, 200)}: no such directory, and Hugging Face's hub did not provide it "
                f"({one_line(problem, 160)}). Give `model` the directory of a model that was downloaded "
                "elsewhere, or a name on the hub and a network connection."
            ) from None


def load_model(directory: Path, name: str, kind: str) -> tuple[nn.Module, bool]:
    """Return the model, and whether it has weights for its pooling.

    `kind` names the class of transformers that opens it.

    transformers draws missing weights at random, with the global generator, whose state is restored.
    """
    with _quietly(name), torch.random.fork_rng(devices=[]):
        import transformers

        try:
            loaded: Any = getattr(transformers, kind).from_pretrained(
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
    return model, not missing


@contextmanager
def _quietly(name: str) -> Generator[None]:
    """Hide the messages and progress bars of transformers and of the hub's client in the body.

    Raises CheckpointError if they are not installed.
    """
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
