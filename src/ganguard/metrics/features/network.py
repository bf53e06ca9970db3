"""What a feature network is, how it is run, and how its features are put on one scale."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Protocol, cast, runtime_checkable

import torch
from pydantic import BeforeValidator, SerializeAsAny, StringConstraints
from torch import Tensor, nn

from ganguard.base.cache import code_version, library_version
from ganguard.base.compute import Compute, use_threads
from ganguard.base.errors import CheckpointError, MetricError
from ganguard.base.images import require_images, to_float
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Settings
from ganguard.metrics.features import FEATURES

CHUNK = 256  # images that go through a feature network at once
SMALLEST_SIDE = 4  # pixels
# of the largest feature: what varies by less varies by float32's rounding, which differs between chunks
CONSTANT = 1e-6
ROUNDING = 1e-3  # how far from 1 the probabilities of an image may sum

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Output = Literal["features", "probabilities"]


class FeatureSettings(Settings):
    """Base of a feature network's settings; `kind` is its name in the table.

    learns_labels: whether the network must be trained on the labelled real data before it can be loaded.
    libraries: packages beside torch that its features depend on.
    """

    kind: str
    learns_labels: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()

    def fingerprint(self) -> str | None:
        """Digest of the files that the settings name, which may change behind their name; None where they
        name none.

        A kind that names files has a setting `sha256`, and raises CheckpointError where theirs is another.
        """
        return None


class FeatureNetwork(nn.Module):
    """images (N, C, H, W) -> features (N, D).

    takes: "float", images float32 in [-1, 1]; or "uint8", images as they are: the network has its own scale.
    smallest_side: of the images that it takes, in pixels.
    at_once: images that it takes at once, where CHUNK of them would need much memory.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "float"
    smallest_side: ClassVar[int] = SMALLEST_SIDE
    at_once: ClassVar[int | None] = None

    def features(self, images: Tensor) -> Tensor:
        """The features, before they are standardised."""
        raise NotImplementedError


@runtime_checkable
class GivesProbabilities(Protocol):
    """What a network that also classifies can do."""

    def probabilities(self, images: Tensor) -> Tensor:
        """images (N, C, H, W), as `features` takes them -> the probabilities of the classes (N, classes)."""
        ...


def parse_features(value: object) -> FeatureSettings:
    """A name ("classifier") or a mapping with `kind` to the settings of that feature network. Raises
    SpecError."""
    return value if isinstance(value, FeatureSettings) else FEATURES.parse(value)


def library_versions(settings: FeatureSettings) -> dict[str, str]:
    """Versions of the packages beside torch that a network's features depend on; "absent" of what is not
    installed."""
    return {library: library_version(library) for library in settings.libraries}


def version_of(settings: object) -> dict[str, Any]:
    """What the features of a network, its name or a mapping, depend on beside its settings, as JSON values:
    source code, and versions of libraries. Raises SpecError."""
    parsed = parse_features(settings)
    package = FEATURES.package(parsed.kind) if parsed.kind in FEATURES.table() else "ganguard"
    code = code_version("ganguard.metrics.features", *({package} - {"ganguard"}))
    return {"code": code, "libraries": library_versions(parsed)}


class LoadsNetwork(Protocol):
    """What every feature network's settings can do."""

    def load(self, directory: Path, channels: int) -> FeatureNetwork: ...


def load_features(settings: FeatureSettings, directory: Path, channels: int) -> FeatureNetwork:
    """The network for images with this many channels; one that was trained is read from `directory`. Raises
    CheckpointError."""
    return cast(LoadsNetwork, settings).load(directory, channels)


def pinned(settings: FeatureSettings) -> FeatureSettings:
    """The same settings with the `sha256` of the files that they name now: others in their place are refused
    from then on.

    Raises CheckpointError where the files are absent, not trusted, or not those that the settings pin
    already.
    """
    found = settings.fingerprint()
    return settings if found is None else settings.model_copy(update={"sha256": found})


def require_same(name: str, wanted: str | None, found: str) -> str:
    """`found`, if it is the SHA-256 that is wanted or none is. Raises CheckpointError that names the files
    otherwise."""
    if wanted not in (None, found):
        raise CheckpointError(
            f"{name}: its SHA-256 must be {wanted}; it is {found}. Put the file back that was there, or set "
            "`sha256` to this one's; an audit is then measured anew."
        )
    return found


FeatureField = Annotated[SerializeAsAny[FeatureSettings], BeforeValidator(parse_features)]


def require_side(images: Tensor, smallest: int = SMALLEST_SIDE) -> None:
    """Raise MetricError where images (N, C, H, W) are too small for a network that takes sides of `smallest`
    pixels or more."""
    if min(images.shape[2:]) < smallest:
        raise MetricError(
            f"images must be at least {smallest}x{smallest} pixels for features; got "
            f"{tuple(images.shape[2:])}."
        )


@torch.inference_mode()
def extract(
    network: FeatureNetwork,
    images: Tensor,
    compute: Compute,
    progress: Progress = silent,
    *,
    output: Output = "features",
) -> Tensor:
    """Features (N, D), or probabilities of classes, float32, on CPU, of images (N, C, H, W) uint8, in chunks
    of `CHUNK`.

    Raises MetricError for what are no images, or too small; where the network gives no probabilities though
    these are asked for; and where it gives no finite (N, D).
    """
    require_images(images, "images", MetricError)
    require_side(images, network.smallest_side)
    run, device = _method(network, output), compute.torch_device()
    network.to(device).eval()
    rows: list[Tensor] = []
    done = 0
    with use_threads(compute.threads):
        for chunk in images.split(min(CHUNK, network.at_once or CHUNK)):
            there = chunk.to(device)
            given = run(to_float(there) if network.takes == "float" else there)
            rows.append(_require_rows(given, len(chunk), rows, output))
            progress(done := done + len(chunk), len(images), output)
    return torch.cat(rows)


def _method(network: FeatureNetwork, output: Output) -> Callable[[Tensor], Tensor]:
    if output == "features":
        return network.features
    if not isinstance(network, GivesProbabilities):
        raise MetricError(
            f"probabilities of classes were asked for, and {type(network).__name__} gives none. Set "
            "features: inception, or features: classifier."
        )
    return network.probabilities


def _require_rows(given: object, count: int, before: list[Tensor], output: Output) -> Tensor:
    """What a network gave for `count` images, as float32 on CPU. Raises MetricError where it is not what all
    networks give."""
    width = before[0].shape[1] if before else None
    if (
        not isinstance(given, Tensor)
        or given.is_complex()
        or given.ndim != 2
        or not _fits(given, count, width)
    ):
        came = f"{given.dtype} {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__
        raise MetricError(
            f"a feature network must give {output} ({count}, {width or 'D'}) for {count} images; got "
            f"{came}. Choose another network, or mend its last layer."
        )
    rows = given.float().cpu()
    if not torch.isfinite(rows).all():
        raise MetricError(
            f"the feature network gave NaN or infinity among its {output}. Check its weights, and what it "
            "takes."
        )
    if output == "probabilities" and not _are_probabilities(rows):
        raise MetricError(
            "the feature network's probabilities must be 0 or more, and sum to 1 for each image. They do not."
        )
    return rows


def _fits(rows: Tensor, count: int, width: int | None) -> bool:
    return len(rows) == count and rows.shape[1] > 0 and width in (None, rows.shape[1])


def _are_probabilities(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < ROUNDING).all())


@dataclass(frozen=True)
class Standardisation:
    """Per-dimension shift and scale, fitted on the features of the real training split, so that Fréchet
    distances of different feature networks can be compared: two unrelated sets are of the order of 2 D apart.

    mean, std: (D,). A dimension that is constant on the real data, up to rounding, keeps its scale.
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def fit(features: Tensor) -> "Standardisation":
        """From features (N, D) of real images. Raises MetricError with fewer than two, which have no
        scale."""
        if len(features) < 2:
            raise MetricError(
                f"features take their scale from at least 2 images; got {len(features)}. Give more of them."
            )
        std = features.std(0)
        constant = std <= CONSTANT * torch.linalg.vector_norm(features, ord=math.inf)
        return Standardisation(features.mean(0), torch.where(constant, torch.ones_like(std), std))

    def __call__(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, D) with, on the real training split, mean 0 and variance 1 in each dimension."""
        return (features - self.mean) / self.std


def differentiable(settings: object, channels: int, compute: Compute) -> Callable[[Tensor], Tensor]:
    """A network's features of float images (N, C, H, W) in [-1, 1], through which gradients flow. settings:
    its name, or a mapping. Raises MetricError where it takes no float images, and what loading it raises."""
    network = load_features(parse_features(settings), Path(), channels)
    if network.takes != "float":
        raise MetricError(
            "adversarial noise needs a feature network of float images, so that gradients flow."
        )
    device = compute.torch_device()
    ready = network.to(device).eval().requires_grad_(False)
    return lambda images: ready.features(images.to(device)).to(images.device)
