"""The strongest adversary that we know: it tries several recipes on its purchase, and keeps the best copy.

It holds a part of the purchase out. By each recipe it trains a copy on the rest, and its own judge compares
the copy, at several steps, with the images held out. The recipe and the step that the judge likes best are
then trained anew on the whole purchase. An untrained network is no copy, even if the judge should like it
best. Nothing that grades the copy has a say in the choice.
"""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.networks import classes_of, require_buildable
from ganguard.attacks import ATTACKS
from ganguard.attacks.labels import bought_labels
from ganguard.attacks.projected import projection_of
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Needs, Substitute, Workspace
from ganguard.base.cache import write_json
from ganguard.base.errors import SpecError
from ganguard.base.plugins import PluginTable
from ganguard.base.seeds import derived_seed
from ganguard.base.settings import Positive, read_json
from ganguard.queries.harvest import harvest
from ganguard.results.panels import Panel, TriedRecipe
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.adaptive import Adaptive
from ganguard.training.division import divided
from ganguard.training.early_stopping import Watch, best_look
from ganguard.training.loop import train_generator
from ganguard.training.settings import TrainingSettings

TRIED, _SECONDS = "tried.json", "seconds.json"
FEWEST_HELD_OUT = 10  # images; a judge of fewer tells hardly anything
LOOKED_AT = 1000  # images of a copy that the judge sees in one look

_FLOW = {
    "architecture": {"kind": "flow", "solver_steps": 6, "spacing": 1.25},
    "steps": 4000,
    "learning_rate": 2e-3,
}
_SNGAN = {
    "architecture": "sngan",
    "steps": 2250,
    "batch_size": 32,
    "learning_rate": 4e-3,
    "ema_decay": 0.997,
    "n_dis": 2,
}
PANEL = tuple(
    TrainingSettings.model_validate(recipe)
    for recipe in (_FLOW, _SNGAN, {**_SNGAN, "augment": {"kind": "ada", "images": 50_000}})
)
"""A flow, a GAN, and the same GAN for few images, by ADA, whose p may reach its height within the training.
They are sized for images of up to 32 pixels."""


class StrongestSettings(AttackSettings):
    """Settings of the panel of recipes. Only the recipes say how copies are trained.

    Attributes:
        recipes: each as the settings of a training; at least two.
        validation: share of the purchase, in (0, 0.5], that is held out, and that the judge compares with.
        looks: how often the judge looks at the copy during one training, at equal intervals.
        architecture: of the first recipe; it is not said.
    """

    kind: Literal["strongest"] = "strongest"
    recipes: Annotated[tuple[TrainingSettings, ...], Field(min_length=2)] = PANEL
    validation: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    looks: Positive = 5
    unsaid: ClassVar[frozenset[str]] = AttackSettings.unsaid | set(TrainingSettings.model_fields)

    @model_validator(mode="before")
    @classmethod
    def _only_recipes(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        said = dict(cast(Mapping[str, Any], values))
        if wrong := sorted(said.keys() & TrainingSettings.model_fields.keys()):
            raise ValueError(
                f"{wrong[0]} has nothing to act on: each of `recipes` says how it trains. Put it there"
            )
        recipes = said.get("recipes", PANEL)
        first = cast(object, recipes[0]) if isinstance(recipes, list | tuple) and recipes else None
        if isinstance(first, TrainingSettings):
            return {**said, "architecture": first.architecture}
        named = cast(Mapping[str, Any], first).get("architecture") if isinstance(first, Mapping) else None
        return {**said, "architecture": named or "sngan"}  # without one, `recipes` is refused as it is read

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if len({classes_of(recipe.architecture) for recipe in self.recipes}) > 1:
            raise ValueError("recipes: all of them must have the same `classes`, or none")
        if any(recipe.beginning for recipe in self.recipes):
            raise ValueError(
                "recipes: `beginning` is no setting of a recipe here. Name that training as a fidelity "
                "attack of its own, beside this one"
            )
        if any(recipe.held_out for recipe in self.recipes):
            raise ValueError(
                "recipes: `held_out` is no setting of a recipe here: `validation` holds images out"
            )
        said = [recipe.recipe() for recipe in self.recipes]
        if any(recipe in said[:i] for i, recipe in enumerate(said)):
            raise ValueError("recipes: one of them is listed twice. Remove one")
        return self

    def left_out(self) -> set[str]:
        """Return the names of the fields that are not said: how one copy is trained, which recipes say."""
        return super().left_out() | set(TrainingSettings.model_fields)

    def said(self) -> dict[str, Any]:
        """Return all settings that a run's result depends on, as JSON values."""
        how_often_saved = {"recipes": {"__all__": {"checkpoint_every"}}}
        return self.model_dump(mode="json", exclude=how_often_saved)

    def fewest_images(self) -> int:
        """Return how many images the share to hold out must be taken of."""
        return math.ceil(FEWEST_HELD_OUT / self.validation)

    def needs(self) -> Needs:
        """Return the purchase, and a judge of copies made of images of it."""
        return Needs(purchase=self.query_budget, judging=True)

    def trainings(self) -> tuple[TrainingSettings, ...]:
        """Return the recipes."""
        return self.recipes

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return the steps of all recipes, and of the longest once more."""
        steps = [recipe.steps for recipe in self.recipes]
        return sum(steps) + max(steps)

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return all recipes: the nearest of their honest models is the floor."""
        return self.recipes

    def trains_through(self) -> bool:
        """Return True: all that it trains on was bought."""
        return True

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the attack, and the architecture of each recipe."""
        kinds = dict.fromkeys(recipe.architecture.kind for recipe in self.recipes)
        return [(ATTACKS, self.kind), *((ARCHITECTURES, kind) for kind in kinds)]

    def require_buildable(self, image_shape: tuple[int, int, int]) -> None:
        """Raise SpecError if a recipe's architecture cannot make images (C, H, W)."""
        for recipe in self.recipes:
            require_buildable(recipe.architecture, image_shape)


def run(
    target: BlackBoxTarget,
    settings: StrongestSettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> Substitute:
    """Buy `query_budget` images, try every recipe on a part of them, and train by the best on all.

    Args:
        knowledge: the makers of a judge and of projections are used, and a guessed defence.
        seed: seed of all trainings, and of which images are held out.

    Raises:
        SpecError: the adversary has nothing to judge by; raised before an image is bought.
        BudgetError: the account cannot pay; raised before an image is bought.
    """
    if knowledge.judge_by is None:
        raise SpecError("strongest: the adversary has no features to judge copies by. Give it `judge_by`.")
    projections = [projection_of(recipe, knowledge) for recipe in settings.recipes]
    images = harvest(target, workspace.store, settings.query_budget, workspace.progress)
    labels = bought_labels(settings, target, workspace.store, settings.query_budget)
    kept, held = hold_out(images, settings.validation, seed=seed)
    judge, judged_by = knowledge.judge_by(images, held)

    def train(number: int, rows: Tensor, place: Path, steps: int, watch: Watch | None = None) -> float:
        recipe = settings.recipes[number]
        return _seconds_of(
            place,
            lambda: train_generator(
                images[rows],
                recipe.model_copy(update={"steps": steps}),
                place,
                seed=derived_seed(seed, f"recipe {number}"),
                compute=workspace.compute,
                progress=workspace.progress,
                watch=watch,
                guess=knowledge.guessed_defence,
                labels=labels and labels.of(rows),
                projection=projections[number],
            ),
        )

    tried: list[TriedRecipe] = []
    for number, recipe in enumerate(settings.recipes):
        place = workspace.directory / f"tried-{number}"
        every = max(1, recipe.steps // settings.looks)
        watch = Watch(judge, every, LOOKED_AT, judged_by, knowledge.guessed_defence)
        seconds = train(number, kept, place, recipe.steps, watch)
        step, score = best_look(place, least=1)  # the look before any step is at no copy
        tried.append(TriedRecipe(recipe=recipe_name(number, recipe), score=score, step=step, seconds=seconds))
    best = min(range(len(tried)), key=lambda number: tried[number].score)
    everything = torch.arange(len(images))
    seconds = train(best, everything, workspace.directory, tried[best].step)
    write_tried(workspace.directory, Panel(tried=tuple(tried), chosen=best, seconds=seconds))
    return Substitute(workspace.directory / "checkpoint", settings.query_budget)


def hold_out(images: Tensor, share: float, *, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows (k,) to train on, and those (h,) that are held out of images (N, C, H, W), ascending.

    No image is on both sides (`training.division`). Raises SpecError if too few differ.
    """
    rows = divided(images, max(FEWEST_HELD_OUT, round(share * len(images))), seed=seed)
    if rows is None or len(rows[1]) < FEWEST_HELD_OUT:
        raise SpecError(
            "strongest: hardly two of the images to train on differ, so that none can be held out. Set a "
            "larger query_budget."
        )
    return rows


def recipe_name(number: int, recipe: TrainingSettings) -> str:
    """Return what a recipe is called in results: its place in the list, its architecture, what it adds."""
    adds = ["projected"] if recipe.discriminator else []
    adds += [recipe.augment.kind if isinstance(recipe.augment, Adaptive) else recipe.augment]
    adds += ["lecam"] if recipe.lecam_weight else []
    named = [recipe.architecture.kind, *(part for part in adds if part != "none")]
    return f"{number + 1}. {', '.join(named)}"


def write_tried(directory: Path, panel: Panel) -> None:
    """Write what was tried beside the copy."""
    write_json(directory / TRIED, panel.model_dump(mode="json"))


def _seconds_of(place: Path, train: Callable[[], object]) -> float:
    """Return the seconds that a training took: those of the run that finished it, if it had before."""
    begun = time.monotonic()
    train()
    seconds, path = time.monotonic() - begun, place / _SECONDS
    if path.is_file():
        return float(cast(float, read_json(path)))
    write_json(path, seconds)
    return seconds


STRONGEST = Attack(StrongestSettings, run)
