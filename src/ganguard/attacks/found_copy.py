"""A copy that was found, in whatever form: a module, a TorchScript file, a repository on the hub, or images.

It is graded like other copies. Only its images are looked at: how it was made is not known.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NoReturn, cast

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from ganguard.architectures.networks import ArchitectureSettings, Recipe
from ganguard.attacks import ATTACKS
from ganguard.attacks.protocol import Attack, AttackSettings, Knowledge, Needs, Workspace
from ganguard.base.errors import SpecError
from ganguard.base.plugins import PluginTable
from ganguard.base.settings import one_line
from ganguard.targets.images import ImagesTarget
from ganguard.targets.load import TargetSettings, described, parse_target
from ganguard.targets.protocol import BlackBoxTarget
from ganguard.training.settings import TrainingSettings


def _copy(value: object) -> TargetSettings:
    """Return the copy as a target. Images are taken in order, so that none is measured twice."""
    try:
        found = parse_target(value)
    except SpecError as problem:
        raise ValueError(f"substitute: {one_line(problem)}") from None
    if found.remote:
        raise ValueError(
            "substitute: images of an API are bought. Harvest them (`ganguard harvest`), and give the "
            "harvest as {images: …}"
        )
    return found.model_copy(update={"in_order": True}) if isinstance(found, ImagesTarget) else found


class UnknownArchitecture(ArchitectureSettings):
    """The architecture of a copy of which only the images are known. Nothing is trained with it."""

    kind: Literal["unknown"] = "unknown"
    recipe: ClassVar[Recipe] = Recipe("hinge", 2e-4, (0.0, 0.9), 1)


class FoundCopySettings(AttackSettings):
    """Settings of a found copy.

    Attributes:
        substitute: the copy, as a target: `{python: …}`, `{torchscript: …}`, `{hub: …}`, `{checkpoint: …}` or
            `{images: …}`.
        query_budget: how many images the copy was made from, as far as is known. It places the copy in tables
            and plots.
    """

    kind: Literal["found"] = "found"
    varies: ClassVar[bool] = False
    substitute: Annotated[SerializeAsAny[TargetSettings], BeforeValidator(_copy)]
    architecture: Annotated[UnknownArchitecture, Field(default_factory=UnknownArchitecture)]

    @model_validator(mode="before")
    @classmethod
    def _is_not_trained(cls, values: Any) -> Any:
        known = cast(Mapping[str, Any], values) if isinstance(values, Mapping) else {}
        if wrong := sorted((known.keys() & TrainingSettings.model_fields.keys()) - {"architecture"}):
            raise ValueError(f"{wrong[0]} has nothing to act on: a found copy is not trained. Leave it out")
        return values

    def label(self) -> str:
        """Return where the copy comes from."""
        return f"found copy {described(self.substitute)}"

    def said(self) -> dict[str, Any]:
        """Return what the copy is, and how many images it is said to be made from."""
        return self.model_dump(mode="json", include={"kind", "substitute", "query_budget"})

    def needs(self) -> Needs:
        """Return the copy. Nothing is bought."""
        return Needs(found=self.substitute)

    def from_scratch(self) -> tuple[TrainingSettings, ...]:
        """Return nothing: how the copy was trained is not known."""
        return ()

    def training_steps(self, *, copy_at_hand: bool) -> int:
        """Return 0: nothing is trained."""
        return 0

    def require_buildable(self, image_shape: tuple[int, int, int]) -> None:
        """Accept any shape: nothing is built."""

    def plugins(self) -> list[tuple[PluginTable, str]]:
        """Return the attack. What opens the copy is a step of its own."""
        return [(ATTACKS, self.kind)]


def run(
    target: BlackBoxTarget,
    settings: FoundCopySettings,
    knowledge: Knowledge,
    workspace: Workspace,
    *,
    seed: int,
) -> NoReturn:
    """Raise SpecError: there is nothing to run; an audit draws the copy's images and measures them."""
    raise SpecError(
        "found: a copy that was found is only measured. Run an audit with it, or `ganguard measure` its "
        "images."
    )


FOUND_COPY = Attack(FoundCopySettings, run)
