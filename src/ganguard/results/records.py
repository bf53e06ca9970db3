"""What an audit found, as frozen records.

They are written as JSON (results.json) and Parquet (results.parquet, a row for each measured number). The
report and every other reader see these records and nothing else.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from ganguard.base.cache import write_bytes, write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import (
    GREATEST,
    Name,
    NonNegative,
    Plain,
    Positive,
    Rows,
    Settings,
    Sparse,
    read_record,
    shortened,
)
from ganguard.results.bins import BinsRecord
from ganguard.results.direction_record import DirectionRecord
from ganguard.results.environment import Environment
from ganguard.results.eyesight import Rung
from ganguard.results.feature_record import FeatureRecord
from ganguard.results.independent_record import IndependentRecord
from ganguard.results.measures import MEASURES
from ganguard.results.panels import PanelRecord
from ganguard.results.refinements import RefinementRecord
from ganguard.results.rework_record import ReworkRecord
from ganguard.results.rows import write_rows
from ganguard.results.skipped import SkippedRecord
from ganguard.results.step_record import StepRecord
from ganguard.results.target_record import AskRecord, TargetRecord
from ganguard.results.whose import Whose, WhoseCopy

Subject = Literal[
    "substitute",
    "independent",
    "purchase",
    "refined",
    "sorted",
    "plain",
    "known",
    "target",
    "defended",
    "real",
    "train",
    "noise",
]
Depicted = Literal[Subject, "kept", "dropped", "direction"]
Against = Literal[
    "target", "reference", "train", "domain", "purchase", "known", "undefended", "code", "nothing"
]
Knows = Literal["real images", "discriminator", "another domain", "a copy"]
Role = Literal["auditor", "adversary"]
Outcome = Literal["holds", "fails", "undecided"]
LONGEST_PATH = 255  # characters of the path of a picture
SMALLEST = 1 / GREATEST  # of a measured number that is not 0, so that no ratio of two overflows


class Measurement(Sparse, Whose):
    """One measured number.

    Subjects:
        "substitute": images of a copy.
        "independent": images of an honest model, which never saw an answer of the target.
        "target" against "target": two draws of the target, and "real" against "reference" two halves of the
            real data: floors of finite samples. Draws from 1 up are random halvings of the same images.
        "train" against "reference": the two splits of the real data: how much of an accuracy distance the
            smallness of the reference split makes.
        "noise": uniform noise, which says what bad looks like.
        "purchase": the bought images themselves, which say what a copy that only replays them would measure.
        "refined": the bought images that a white-box attack kept.
        "sorted": the bought images in the evener shares that `sorted_fidelity` gave their classes.
        "plain": the bought images that Algorithm 1 would have kept untempered.
        "known": the real images that the adversary holds.
        "defended": the target's images behind a defence, as honest users get them.

    Attributes:
        subject: which images were measured.
        recipe: label of the honest model's recipe (IndependentRecord.label); None for other subjects.
        draw: which of the independent sets of images from the same generator.
        metric: a name in MEASURES. Fréchet distance against the target is fidelity, against the reference
            split accuracy. A distance whose bias was removed (Fréchet infinity, kernel) may lie below 0.
        against: what they were compared with. "target" is the undefended target, even behind a defence.
            "train": the train split of the real images, the paper's p_r: accuracy, but it favours memory.
            "domain": the reference split of the domain that a copy was moved to. "purchase": the bought
            images that the copy was trained on. "known": the real images that its adversary trained it on.
            "undefended": the image of the same code that no defence changed. "code": the target's image of
            the same code; of the subject "target", its images of other codes. "nothing": the number is of one
            set.
        condition: the class or prompt whose images alone the number is of; None for a number of all images,
            and then left out.
        ask: of bought images, and of fresh ones beside them, how they were asked for: the digest of an
            attack's AskRecord. None, and then left out, if uniformly, and for all other images.
        spread: standard error of the value, for so many images of these generators; None if it was not
            measured.
        images: how many images were measured.
        compared: how many images they were compared with.
    """

    subject: Subject
    recipe: str | None = None
    draw: NonNegative = 0
    metric: str
    against: Against
    condition: Name | None = None
    ask: str | None = None
    value: Annotated[float, Field(json_schema_extra={"minimum": -GREATEST, "maximum": GREATEST})]
    spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    images: Positive
    compared: NonNegative
    unsaid: ClassVar[frozenset[str]] = frozenset({"condition", "ask"})

    @model_validator(mode="after")
    def _in_range(self) -> "Measurement":
        size = abs(self.value)
        if size != 0 and not SMALLEST <= size <= GREATEST:
            raise ValueError(f"value must be 0, or {SMALLEST:g} to {GREATEST:g} in size; got {self.value!r}")
        if self.value < 0 and not (self.metric in MEASURES and MEASURES[self.metric].signed):
            raise ValueError(f"value of {shortened(self.metric)} must not be negative; got {self.value!r}")
        return self


class AttackRecord(Sparse):
    """One attack of the spec at all of its budgets.

    Attributes:
        label: unique in the results ("fidelity sngan").
        knows: what its adversary has beside the images that it buys; nothing for fidelity extraction.
        ask: how its adversary asks for conditions, and which codes it sends; None, and then left out, if the
            target takes no conditions and gets codes of its own prior, or if the attack buys nothing.
        labels: whether its copies learn conditions, and can be asked for one; None, and then left out, if the
            target takes none, or if only images of the copy are known.
    """

    label: str
    kind: str
    architecture: str
    knows: tuple[Knows, ...] = ()
    query_budgets: tuple[Positive, ...]
    settings: Plain
    ask: AskRecord | None = None
    labels: bool | None = None
    unsaid: ClassVar[frozenset[str]] = frozenset({"ask", "labels"})

    @property
    def purchase_ask(self) -> str | None:
        """What numbers of the images that its adversary bought have as their `ask`."""
        return self.ask.of_purchase if self.ask else None


class Verdict(Settings):
    """Whether a relation that the paper reports holds here.

    Attributes:
        ratio: the geometric mean over seeds of the ratio in `statement`; None with one seed.
        low, high: its 95 % interval; None with one seed.
        corrected_low, corrected_high: the interval corrected for the number of comparisons of the relation
            (Holm 1979), which decides the outcome; None if there is one comparison, or no interval.
    """

    relation: str
    statement: str
    outcome: Outcome
    reason: str
    seeds: NonNegative
    ratio: Annotated[float, Field(ge=0)] | None = None
    low: Annotated[float, Field(ge=0)] | None = None
    high: Annotated[float, Field(ge=0)] | None = None
    corrected_low: Annotated[float, Field(ge=0)] | None = None
    corrected_high: Annotated[float, Field(ge=0)] | None = None


class DefenceRecord(Settings):
    """A chain of defences.

    Attributes:
        label: unique in the results.
        kinds, settings: of each member of the chain.
        identity: of the target behind the chain.
    """

    label: str
    kinds: tuple[str, ...]
    settings: tuple[Plain, ...]
    identity: str


class AccountRecord(Sparse):
    """Images that one account bought from the target.

    Attributes:
        role: "auditor" for the auditor's own draws, "adversary" for a purchase.
        seed: of the purchase; None for the auditor.
        defence: label of the defence that they were bought behind; None without one.
        adversary: label of an adversary that makes an image of several queries; None for those whose every
            query is one.
        bought: images, with those of requests that were sent again.
        again: how many of them are of such requests: no answer had come, and an API that is not idempotent
            may have charged them.
        ask: how the target was asked; None, and then left out, if uniformly, with codes of its own prior.
    """

    account: str
    role: Role
    seed: NonNegative | None
    defence: str | None = None
    adversary: str | None = None
    bought: NonNegative
    again: NonNegative = 0
    ask: Plain | None = None
    unsaid: ClassVar[frozenset[str]] = frozenset({"ask"})


class UseRecord(WhoseCopy):
    """Images that one substitute was trained on."""

    used: NonNegative


class FailureRecord(Whose):
    """A copy, a defence whose utility is wanted (no attack), or an honest model, that could not be measured.

    Attributes:
        recipe: label of the honest model's recipe (IndependentRecord.label); None for all else.
        step: which step failed.
        reason: why.
    """

    recipe: str | None = None
    step: str
    reason: str


class Picture(Sparse, Whose):
    """A grid of sample images.

    Attributes:
        subject: as in Measurement. "kept" and "dropped" are bought images that a white-box attack kept, and
            never kept. "direction" are codes, a row each, moved along the direction of an attribute.
        attribute: of a direction; None for other subjects.
        file: path of the PNG, below the directory of results.json.
        columns: tiles in a row.
        tile: height and width of a tile in pixels.
        rows: of a picture by condition, the name of each row's; empty, and then left out, for other pictures.
    """

    subject: Depicted
    attribute: str | None = None
    file: str
    columns: Positive
    tile: tuple[Positive, Positive]
    rows: tuple[Name, ...] = ()
    unsaid: ClassVar[frozenset[str]] = frozenset({"rows"})

    @field_validator("file")
    @classmethod
    def _below(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or len(file) > LONGEST_PATH or not file.isprintable():
            raise ValueError(
                f"must be the path of a file below the directory of the results; got {shortened(file)}"
            )
        return file


class AuditResults(Sparse):
    """Everything that an audit found."""

    unsaid: ClassVar[frozenset[str]] = frozenset({"bins", "panels", "reworked"})
    format: Literal[1] = 1
    name: str
    spec: Plain
    environment: Environment
    target: TargetRecord
    real: str
    real_images: dict[Literal["train", "reference"], NonNegative]
    features: FeatureRecord
    attacks: Rows[AttackRecord]
    independent: Rows[IndependentRecord] = ()
    defences: Rows[DefenceRecord] = ()
    adversaries: tuple[str, ...] = ()
    directions: Rows[DirectionRecord] = ()
    measurements: Rows[Measurement]
    bins: Rows[BinsRecord] = ()
    eyesight: Rows[Rung] = ()
    failures: Rows[FailureRecord] = ()
    refinements: Rows[RefinementRecord] = ()
    panels: Rows[PanelRecord] = ()
    reworked: Rows[ReworkRecord] = ()
    verdicts: Rows[Verdict]
    accounts: Rows[AccountRecord]
    used: Rows[UseRecord]
    skipped: Rows[SkippedRecord] = ()
    steps: Rows[StepRecord]
    pictures: Rows[Picture]

    def select(self, **wanted: object) -> list[Measurement]:
        """Return the measurements whose fields have the wanted values."""
        return [
            m for m in self.measurements if all(getattr(m, key) == value for key, value in wanted.items())
        ]

    def of_all(self) -> "AuditResults":
        """Return the same results without the numbers and pictures of single conditions."""
        measurements = tuple(m for m in self.measurements if m.condition is None)
        pictures = tuple(p for p in self.pictures if not p.rows)
        return self.model_copy(update={"measurements": measurements, "pictures": pictures})

    def undefended(self) -> "AuditResults":
        """Return the same results without all that belongs to defences."""
        every = {
            name: getattr(self, name)
            for name in ("measurements", "failures", "refinements", "panels", "used", "pictures")
        }
        kept = {name: tuple(row for row in rows if row.defence is None) for name, rows in every.items()}
        return self.model_copy(update={**kept, "defences": (), "adversaries": (), "reworked": ()})


def write_results(results: AuditResults, directory: Path) -> None:
    """Write results.json and results.parquet atomically."""
    write_json(directory / "results.json", results.model_dump(mode="json"))
    rows = [m.model_dump() | {"better": MEASURES[m.metric].better} for m in results.measurements]
    whence = {"audit": results.name, "target": results.target.description, "features": results.features.kind}
    whence["environment"] = results.environment.model_dump_json()
    write_rows(rows, whence, directory / "results.parquet")


def read_results(directory: Path) -> AuditResults:
    """Read results.json back. Raises DataError if it is absent, or holds no results."""
    path = directory / "results.json"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the directory that `ganguard audit` wrote.")
    return read_record(path, AuditResults, DataError)


def write_schema(path: Path) -> None:
    """Write the JSON schema of results.json."""
    write_bytes(path, (json.dumps(AuditResults.model_json_schema(), indent=2) + "\n").encode())
