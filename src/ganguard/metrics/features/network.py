"""Feature networks, how they are run, and how features are put on one scale."""

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
from ganguard.base.images import colours_of, composed, composed_floats, require_images, to_float
from ganguard.base.progress import Progress, silent
from ganguard.base.settings import Settings
from ganguard.metrics.features import FEATURES, pretrained
from ganguard.metrics.features.scale_checks import (
    is_constant,
    require_comparable,
    require_scale,
)

CHUNK = 256  # images that go through a feature network at once, if they are small
MOST_BYTES = 704 << 20  # of memory that a network may work in, above its images and its weights
SMALLEST_SIDE = 4  # pixels
ROUNDING = 1e-3  # largest distance from 1 of the sum of an image's probabilities

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
Output = Literal["features", "probabilities"]


class FeatureSettings(Settings):
    """Base of a feature network's settings; `kind` is its name in the table.

    Attributes:
        learns_labels: whether the network must be trained on the labelled real data before it can be loaded.
        libraries: packages beside torch that its features depend on.
        pretrained: whether the network is one that others use too, so that distances of its unscaled features
            are in units that are published.
        gives_maps: whether the network gives its feature maps (`maps.py`), and need not be trained first.
    """

    kind: str
    learns_labels: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()
    pretrained: ClassVar[bool] = False
    gives_maps: ClassVar[bool] = False

    def fingerprint(self) -> str | None:
        """Return a digest of the files that the settings name, or None if they name none.

        It tells whether their content changed. A kind that names files has a setting `sha256`, and raises
        CheckpointError if the files have another digest.
        """
        return None


class FeatureNetwork(nn.Module):
    """Images (N, C, H, W) -> features (N, D).

    Attributes:
        takes: "float", images float32 in [-1, 1]; or "uint8", images as they are, which the network scales
            itself.
        smallest_side: smallest side in pixels of the images that it takes.
        at_once: number of images that it takes at once, if CHUNK of them would be too many at any size.
        bytes_a_pixel: memory that it works in, for each pixel of each image that it takes at once.
    """

    takes: ClassVar[Literal["float", "uint8"]] = "float"
    smallest_side: ClassVar[int] = SMALLEST_SIDE
    at_once: ClassVar[int | None] = None
    bytes_a_pixel: ClassVar[int] = 1024

    def working_bytes(self, height: int, width: int) -> int:
        """Return the bytes of memory that it works in for one image of this height and width."""
        return self.bytes_a_pixel * height * width

    def chunk(self, height: int, width: int) -> int:
        """Return how many images of this height and width go through it at once.

        They are as many as MOST_BYTES of memory allow, at most CHUNK, and at least one. The number depends on
        the size of the images alone, so that features do too.
        """
        fit = MOST_BYTES // max(1, self.working_bytes(height, width))
        return max(1, min(CHUNK, self.at_once or CHUNK, fit))

    def features(self, images: Tensor) -> Tensor:
        """Return the features, before they are standardised."""
        raise NotImplementedError


@runtime_checkable
class GivesProbabilities(Protocol):
    """A network that also classifies."""

    def probabilities(self, images: Tensor) -> Tensor:
        """Return class probabilities (N, classes) of images (N, C, H, W), given as `features` takes them."""
        ...


def parse_features(value: object) -> FeatureSettings:
    """Return the settings of a feature network, from its name ("classifier") or a mapping with `kind`.

    The name "pretrained" is that of the network that is chosen here. Raises SpecError.
    """
    if value == pretrained.WORD:
        value = pretrained.choose()
    return value if isinstance(value, FeatureSettings) else FEATURES.parse(value)


def library_versions(settings: FeatureSettings) -> dict[str, str]:
    """Return the versions of the packages beside torch that a network's features depend on.

    A package that is not installed has the version "absent".
    """
    return {library: library_version(library) for library in settings.libraries}


def version_of(settings: object) -> dict[str, Any]:
    """Return the source code and library versions that a network's features depend on, as JSON values.

    The network is given by its name, or a mapping. Raises SpecError.
    """
    parsed = parse_features(settings)
    package = FEATURES.package(parsed.kind) if parsed.kind in FEATURES.table() else "ganguard"
    code = code_version("ganguard.metrics.features", *({package} - {"ganguard"}))
    return {"code": code, "libraries": library_versions(parsed)}


class LoadsNetwork(Protocol):
    """The methods of every feature network's settings."""

    def load(self, directory: Path, channels: int) -> FeatureNetwork: ...


def load_features(settings: FeatureSettings, directory: Path, channels: int) -> FeatureNetwork:
    """Return the network for images with this many channels, whose opacity, if they have any, it does not
    see.

    A trained one is read from `directory`. Raises CheckpointError.
    """
    return cast(LoadsNetwork, settings).load(directory, colours_of(channels))


def pinned(settings: FeatureSettings) -> FeatureSettings:
    """Return the settings with `sha256` set to that of their current files.

    Other files in their place are refused from then on. Raises CheckpointError if the files are absent, not
    trusted, or not those that the settings pin already.
    """
    found = settings.fingerprint()
    return settings if found is None else settings.model_copy(update={"sha256": found})


def require_same(name: str, wanted: str | None, found: str) -> str:
    """Return `found`, the SHA-256 of the files `name`, if it is the wanted one or none is wanted.

    Raises CheckpointError, which names the files, otherwise.
    """
    if wanted not in (None, found):
        raise CheckpointError(
            f"{name}: its SHA-256 must be {wanted}; it is {found}. Restore the file that was there, or set "
            "`sha256` to that of this one; an audit is then measured again."
        )
    return found


FeatureField = Annotated[SerializeAsAny[FeatureSettings], BeforeValidator(parse_features)]


def require_side(images: Tensor, smallest: int = SMALLEST_SIDE) -> None:
    """Raise MetricError if images (N, C, H, W) have a side of less than `smallest` pixels."""
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
    """Return features (N, D), or class probabilities, float32, on CPU, of images (N, C, H, W) uint8.

    Images go through the network in chunks of `FeatureNetwork.chunk`, those with opacity before a white
    background. Raises MetricError if they are not
    images, or too small; if probabilities are requested of a network that gives none; and if the network's
    output is not finite (N, D).
    """
    require_images(images, "images", MetricError)
    require_side(images, network.smallest_side)
    run, device = _method(network, output), compute.torch_device()
    network.to(device).eval()
    rows: list[Tensor] = []
    done = 0
    with use_threads(compute.threads):
        for chunk in images.split(network.chunk(*images.shape[2:])):
            there = composed(chunk.to(device))
            given = run(to_float(there) if network.takes == "float" else there)
            rows.append(_require_rows(given, len(chunk), rows, output))
            progress(done := done + len(chunk), len(images), output)
    return torch.cat(rows)


def _method(network: FeatureNetwork, output: Output) -> Callable[[Tensor], Tensor]:
    if output == "features":
        return network.features
    if not isinstance(network, GivesProbabilities):
        raise MetricError(
            f"class probabilities were requested, but {type(network).__name__} gives none. Set features: "
            "inception, or features: classifier."
        )
    return network.probabilities


def _require_rows(given: object, count: int, before: list[Tensor], output: Output) -> Tensor:
    """Return a network's output for `count` images as float32 on CPU.

    Raises MetricError if it does not have the form that all networks must give.
    """
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
            f"{came}. Choose another network, or change its last layer."
        )
    rows = given.float().cpu()
    if not torch.isfinite(rows).all():
        raise MetricError(
            f"the feature network gave NaN or infinity among its {output}. Check its weights, and the scale "
            "of images that it takes."
        )
    if output == "probabilities" and not _are_probabilities(rows):
        raise MetricError(
            "the feature network's probabilities must be 0 or more, and sum to 1 for each image; they do "
            "not. Check its last layer."
        )
    return rows


def _fits(rows: Tensor, count: int, width: int | None) -> bool:
    return len(rows) == count and rows.shape[1] > 0 and width in (None, rows.shape[1])


def _are_probabilities(rows: Tensor) -> bool:
    return bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < ROUNDING).all())


@dataclass(frozen=True)
class Standardisation:
    """Shift and scale of each dimension, fitted to the features of the real training split.

    With them, Fréchet distances of different feature networks can be compared: two unrelated sets are about 2
    D apart.

    Attributes:
        mean: (D,).
        std: (D,). It is 1 for a dimension that is constant on the real data, up to rounding.
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def fit(
        features: Tensor, name: str = "the set of real images", *, scales: Tensor | None = None
    ) -> "Standardisation":
        """Fit to features (N, D) of real images, which messages call `name`.

        Raises MetricError for fewer than two, for images that are equal, or nearly so, and for images that
        vary far less than those of A, whose features `scales` (M, D) shall be scaled too.
        """
        require_scale(features, name)
        if scales is not None:
            require_comparable(features, name, scales, "A")
        std = features.std(0)
        return Standardisation(
            features.mean(0), torch.where(is_constant(features), torch.ones_like(std), std)
        )

    def __call__(self, features: Tensor) -> Tensor:
        """Return (N, D) standardised: mean 0 and variance 1 in each dimension on the real training split."""
        return (features - self.mean) / self.std

    def undo(self, standardised: Tensor) -> Tensor:
        """Return features (N, D) as the network gave them, up to the rounding of float32."""
        return standardised * self.std + self.mean


def differentiable(settings: object, channels: int, compute: Compute) -> Callable[[Tensor], Tensor]:
    """Return a function from float images (N, C, H, W) in [-1, 1] to features, through which gradients flow.

    Raises MetricError if the network takes no float images, and what loading it raises.

    Args:
        settings: the network's name, or a mapping.
        channels: C of the images.
        compute: device on which it runs.
    """
    network = load_features(parse_features(settings), Path(), channels)
    if network.takes != "float":
        raise MetricError(
            "adversarial noise needs a feature network that takes float images, so that gradients flow; "
            f"{type(network).__name__} takes uint8. Choose another network."
        )
    device = compute.torch_device()
    ready = network.to(device).eval().requires_grad_(False)
    return lambda images: ready.features(composed_floats(images.to(device))).to(images.device)
