"""Measure the bought images themselves, as if they came from a copy that only replays them."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.plan.adversary_work import ReplayInputs, ReplaySettings
from ganguard.audit.steps.call import Digests, Kind, StepCall
from ganguard.audit.steps.measurements import DRAWS, MEASURES, write_measurements
from ganguard.audit.steps.purchase_files import open_purchase
from ganguard.audit.steps.rework_files import open_reworked
from ganguard.audit.steps.yardstick_files import Yardsticks
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.comparison.compare import NEIGHBOURS, around, compare, compare_with_training
from ganguard.comparison.embedding import load_embedding
from ganguard.results.records import Measurement

FEWEST_REMEMBERED = 2  # bought images from which on memorisation is measured
_FILE = "bought.safetensors"


def run_replay(call: StepCall[ReplaySettings, ReplayInputs[Path]]) -> Digests:
    """Measure the bought images of each budget, or what an adversary made of them, and how near fresh images
    of the target come to them.

    A copy that only replays its purchase would have the former values, one that remembers nothing the latter.
    """
    settings = call.settings
    embed = load_embedding(call.inputs.features, call.compute)
    yardsticks = Yardsticks.read(call.inputs.yardsticks)
    store = open_purchase(call.inputs.purchase, call.audit)
    if call.inputs.reworked:
        store = open_reworked(call.inputs.reworked)
    images = store.read(max(settings.budgets) // settings.price)
    features, probabilities = embed(images), embed.probabilities(images)
    measurements: list[Measurement] = []
    for budget in settings.budgets:
        found = _measure(features[: budget // settings.price], yardsticks)
        whose = {"query_budget": budget, "seed": settings.seed}
        measurements += [m.model_copy(update=whose) for m in found]
    tensors = {"features": features}
    if probabilities is not None:
        tensors["classes"] = probabilities.argmax(1)
        tensors["class_count"] = torch.tensor([probabilities.shape[1]])
    write_tensors(call.directory / _FILE, tensors)
    parts = {
        str(budget): tensor_digest({name: rows[: budget // settings.price] for name, rows in tensors.items()})
        for budget in settings.budgets
    }
    return {"result": content_key(measurements=write_measurements(call.directory, measurements)), **parts}


def _measure(bought: Tensor, yardsticks: Yardsticks) -> list[Measurement]:
    """Measure bought images by their features (N, D), as far as there are enough of them."""
    found: list[Measurement] = []
    if len(bought) >= FEWEST_REMEMBERED:
        fresh, other = (yardsticks.draws[draw].points for draw in (1, 0))
        found += compare_with_training("target", fresh, bought, other)
    if len(bought) <= NEIGHBOURS:
        return found
    balls = around(bought)
    found += yardsticks.to_real("purchase", balls)
    for draw in range(DRAWS):
        found += compare("purchase", balls, yardsticks.draws[draw], "target", draw)
    return found


def read_features(directory: Path, images: int) -> Tensor:
    """Return the features (images, D) of the first bought images, from the directory of a replay step."""
    return load_file(directory / _FILE)["features"][:images]


def read_classes(directory: Path, images: int) -> tuple[Tensor, int] | None:
    """Return the classes of the first bought images, as the feature network sees them, from a replay step.

    Returns:
        The class (images,) int64 of each image, and the number of classes; None if the network knows none.
    """
    tensors = load_file(directory / _FILE)
    return (tensors["classes"][:images], int(tensors["class_count"])) if "classes" in tensors else None


REPLAY = Kind(
    run_replay,
    code=(
        *MEASURES,
        "ganguard.queries.store",
        "ganguard.data.parquet",
        "ganguard.targets.ask",
        "ganguard.targets.conditions",
        "ganguard.targets.prior",
        "ganguard.targets.protocol",
        "ganguard.audit.steps.purchase_files",
        "ganguard.audit.steps.yardstick_files",
        "ganguard.audit.steps.replay",
    ),
    code_with={"reworked": ("ganguard.audit.steps.rework_files",)},
)
