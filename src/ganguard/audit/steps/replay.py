"""Measure the purchase itself: what a copy that only replays it would measure."""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ganguard.audit.steps.call import Digests, StepCall
from ganguard.audit.steps.measurements import DRAWS, write_measurements
from ganguard.audit.steps.purchase import open_to_adversary, queries_an_image
from ganguard.audit.steps.yardsticks import BALLS, balls_of
from ganguard.base.cache import content_key, tensor_digest, write_tensors
from ganguard.comparison.compare import NEIGHBOURS, compare, compare_with_training
from ganguard.comparison.embedding import load_embedding
from ganguard.metrics import Balls
from ganguard.queries.harvest import harvest
from ganguard.results.records import Measurement

BOUGHT = "bought.safetensors"
FEWEST_REMEMBERED = 2  # bought images, beside which memorisation is measured


def run_replay(call: StepCall) -> Digests:
    """What the bought images themselves would measure, by budget: where a copy stands that only replays them.
    And how near
    fresh images of the target come to them: where a copy stands that remembers none."""
    embed = load_embedding(call.inputs["features"], call.compute)
    yardsticks = load_file(call.inputs["yardsticks"] / BALLS)
    budgets, seed = [int(budget) for budget in call.settings["budgets"]], int(call.settings["seed"])
    price = queries_an_image(call)
    target, store = open_to_adversary(call, max(budgets))
    images = harvest(target, store, max(budgets) // price, call.progress)  # what was lost comes again
    features, probabilities = embed(images), embed.probabilities(images)
    measurements: list[Measurement] = []
    for budget in budgets:
        whose, bought = {"query_budget": budget, "seed": seed}, features[: budget // price]
        if len(bought) >= FEWEST_REMEMBERED:
            drawn = [balls_of(yardsticks, f"target/{draw}").points for draw in (1, 0)]
            measurements += [
                m.model_copy(update=whose)
                for m in compare_with_training("target", drawn[0], bought, drawn[1])
            ]
        if len(bought) <= NEIGHBOURS:
            continue
        balls = Balls.around(bought, k=NEIGHBOURS)
        found = compare("purchase", balls, balls_of(yardsticks, "reference"), "reference")
        for draw in range(DRAWS):
            found += compare("purchase", balls, balls_of(yardsticks, f"target/{draw}"), "target", draw)
        measurements += [m.model_copy(update=whose) for m in found]
    tensors = {"features": features}
    if probabilities is not None:
        tensors |= {"classes": probabilities.argmax(1), "class_count": torch.tensor([probabilities.shape[1]])}
    write_tensors(call.directory / BOUGHT, tensors)
    parts = {
        str(budget): tensor_digest({name: rows[: budget // price] for name, rows in tensors.items()})
        for budget in budgets
    }
    return {"result": content_key(measurements=write_measurements(call.directory, measurements)), **parts}


def read_classes(replay: Path, budget: int) -> tuple[Tensor, int] | None:
    """Of a replay step: the class (N,) int64 of each image that `budget` buys, as the feature network sees
    it, and how many classes it knows; None where it knows none."""
    tensors = load_file(replay / BOUGHT)
    return (tensors["classes"][:budget], int(tensors["class_count"])) if "classes" in tensors else None
