"""Measure copies as functions: each image beside the target's image of the same code."""

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.plan.code_work import CodesInputs, CodesSettings, MeasureCodesInputs, MeasureCodesSettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.measurements import MEASURES, write_measurements
from ganguard.audit.steps.purchase import BUYS, auditor_seed, buy_for_auditor
from ganguard.audit.steps.target_files import IDENTITY_TELLS, OPENS_CHECKPOINT, open_target
from ganguard.base.cache import content_key, write_json, write_tensors
from ganguard.base.labels import Labels, labelled_digest
from ganguard.comparison.compare import compare_codes
from ganguard.comparison.embedding import load_embedding
from ganguard.results.records import Measurement
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.conditions import conditions_of, generate
from ganguard.targets.protocol import LatentTarget

MOST_CODES = 2000  # of which images are compared, one by one
DRAW = 0  # the auditor's draw whose codes they are
_FILE, _CLASSES = "codes.safetensors", "classes.json"


@dataclass(frozen=True)
class Codes:
    """Codes that no adversary sent, and what the target makes of them.

    Attributes:
        latents: (N, latent_dim) float32.
        images: (N, C, H, W) uint8.
        features: (N, D) of the images.
        labels: what was asked for with each code; None without conditions.
    """

    latents: Tensor
    images: Tensor
    features: Tensor
    labels: Labels | None

    def write(self, directory: Path) -> str:
        """Write them, and return their digest."""
        tensors = {"latents": self.latents, "images": self.images, "features": self.features}
        if self.labels is not None:
            tensors["labels"] = self.labels.numbers
            write_json(directory / _CLASSES, self.labels.names)
        write_tensors(directory / _FILE, tensors)
        return labelled_digest(tensors, classes=self.labels.names if self.labels else ())

    @staticmethod
    def read(directory: Path) -> "Codes | None":
        """Read what a codes step wrote; None if the target that is measured against takes no codes."""
        if not (directory / _FILE).is_file():
            return None
        tensors = load_file(directory / _FILE)
        numbers = tensors.pop("labels", None)
        names = () if numbers is None else tuple(json.loads((directory / _CLASSES).read_text()))
        return Codes(**tensors, labels=None if numbers is None else Labels(numbers, names))


def run_codes(call: StepCall[CodesSettings, CodesInputs[Path]]) -> Digests:
    """Keep the codes of the auditor's first draw beside their images, and measure images of other codes.

    The yardsticks have bought them, so that nothing is bought here.
    """
    target, settings = open_target(call.inputs.target, call.compute), call.settings
    if not isinstance(target, LatentTarget):
        return {"result": content_key(measurements=write_measurements(call.directory, []))}
    drawn = buy_for_auditor(call, target, DRAW, settings.samples, settings.ask)
    images, labels = drawn.images[:MOST_CODES], drawn.labels
    codes = Codes(
        target.draw_latents(range(len(images)), seed=auditor_seed(DRAW)),
        images,
        load_embedding(call.inputs.features, call.compute)(images),
        None if labels is None else Labels(labels.numbers[:MOST_CODES], labels.names),
    )
    others = codes.images.roll(1, 0), codes.features.roll(1, 0)
    found = compare_codes("target", others, (codes.images, codes.features))
    digest, said = codes.write(call.directory), write_measurements(call.directory, found)
    return {"result": content_key(codes=digest, measurements=said)}


def run_measure_codes(call: StepCall[MeasureCodesSettings, MeasureCodesInputs[Path]]) -> Digests:
    """Ask a copy for the codes, and compare its images with the target's.

    Nothing is measured of a copy whose codes have another length than the target's, or that cannot be asked
    for the same conditions.
    """
    codes, directory = Codes.read(call.inputs.codes), call.inputs.substitute
    copy = CheckpointTarget(checkpoint=str(directory / "checkpoint")).load(call.compute)
    found: list[Measurement] = []
    if codes and copy.latent_dim == codes.latents.shape[1]:
        known, labels = conditions_of(copy), codes.labels
        told = labels.told(known.names) if known and labels else None
        if bool(known) == bool(labels) == bool(told):
            images = generate(copy, codes.latents, told.numbers if told else None)
            features = load_embedding(call.inputs.features, call.compute)(images)
            found = compare_codes("substitute", (images, features), (codes.images, codes.features))
    return {"result": content_key(measurements=write_measurements(call.directory, found))}


_HERE = "ganguard.audit.steps.codes"
CODES = Kind(
    run_codes,
    code=(*BUYS, *MEASURES, "ganguard.audit.steps.drawn", _HERE),
    not_followed=IDENTITY_TELLS,
)
MEASURE_CODES = Kind(run_measure_codes, code=(*MEASURES, *OPENS_CHECKPOINT, _HERE))
