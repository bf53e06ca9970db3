"""What an audit found: frozen records, as JSON (results.json) and Parquet (results.parquet, a row a measured
number).

The report and every other reader see these records and nothing else.
"""

import json
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ganguard.base.cache import write_bytes, write_json
from ganguard.base.errors import DataError
from ganguard.base.settings import (
    GREATEST,
    NonNegative,
    Plain,
    Positive,
    Rows,
    Settings,
    read_record,
    shortened,
)
from ganguard.results.measures import MEASURES
from ganguard.results.refinements import RefinementRecord
from ganguard.results.rows import write_rows
from ganguard.results.skipped import SkippedRecord
from ganguard.results.whose import Whose, WhoseCopy

Subject = Literal[
    "substitute", "purchase", "refined", "plain", "known", "target", "defended", "real", "train", "noise"
]
Depicted = Literal[Subject, "kept", "dropped", "direction"]
Against = Literal["target", "reference", "domain", "purchase", "known", "undefended", "nothing"]
Knows = Literal["real images", "discriminator", "another domain", "a copy"]
Outcome = Literal["holds", "fails", "undecided"]
LONGEST_PATH = 255  # characters of a picture's
SMALLEST = 1 / GREATEST  # size of a measured number that is not 0: no ratio of two leaves what floats hold


class Measurement(Whose):
    """One measured number.

    subject: whose images were measured. "target" against "target" are two draws of the target, "real" against
        "reference" two halves of the real data: the floors that finite samples give; of the former, draws
        from 1 up are random halvings of the same images. "train" against "reference" are the two splits: how
        much of an accuracy distance is due to the reference split's being a small sample. "noise" is uniform
        noise: what bad looks like. "purchase" are the bought images themselves: what a copy would measure
        that only replays them; "refined" those of them that a white-box attack kept, "plain" those that
        Algorithm 1 as it stands would have kept. "known" are the real images that the adversary holds.
        "defended" are the target's images behind a defence, as honest users get them.
    attack: label of the attack (AttackRecord.label), for a substitute; query_budget and seed: its own, or the
    purchase's.
    defence, adversary: labels (DefenceRecord.label); None where no defence stood before the target. What
        stands "against the target" is compared with the undefended target all the same.
    draw: which of the independent sets of images from the same generator.
    metric: a name out of MEASURES. Fréchet distance against the target is fidelity, against the reference split
        accuracy. A distance whose bias was taken off (Fréchet infinity, kernel) may lie below 0.
    against: what with. "domain": with the reference split of the domain that a copy was moved to. "purchase":
        with the bought images that the copy was trained on. "known": with the real images that its adversary
        trained it on. "undefended": with the image of the same code that no defence changed. "nothing": a
        measure of one set.
    spread: standard error of the value, for so many images of these generators; None where it was not
    measured.
    images, compared: how many images were measured, and how many they were compared with.
    """

    subject: Subject
    draw: NonNegative = 0
    metric: str
    against: Against
    value: Annotated[float, Field(json_schema_extra={"minimum": -GREATEST, "maximum": GREATEST})]
    spread: Annotated[float, Field(ge=0, le=GREATEST)] | None = None
    images: Positive
    compared: NonNegative

    @model_validator(mode="after")
    def _in_range(self) -> "Measurement":
        size = abs(self.value)
        if size != 0 and not SMALLEST <= size <= GREATEST:
            raise ValueError(f"value must be 0, or of {SMALLEST:g} to {GREATEST:g}; got {self.value!r}")
        if self.value < 0 and not (self.metric in MEASURES and MEASURES[self.metric].signed):
            raise ValueError(f"value of {shortened(self.metric)} must not be negative; got {self.value!r}")
        return self


class AttackRecord(Settings):
    """One attack of the spec at all of its budgets.

    Attributes:
        label: unique in the results ("fidelity sngan").
        knows: what its adversary has beside the images that it buys; nothing for fidelity extraction.
    """

    label: str
    kind: str
    architecture: str
    knows: tuple[Knows, ...] = ()
    query_budgets: tuple[Positive, ...]
    settings: Plain


class Verdict(Settings):
    """Whether a relation that the paper reports holds here.

    ratio, low, high: the geometric mean over seeds of the ratio in `statement`, and its 95 % interval; None
    with one seed.
    """

    relation: str
    statement: str
    outcome: Outcome
    reason: str
    seeds: NonNegative
    ratio: Annotated[float, Field(ge=0)] | None = None
    low: Annotated[float, Field(ge=0)] | None = None
    high: Annotated[float, Field(ge=0)] | None = None


class DefenceRecord(Settings):
    """A chain of defences. label: unique in the results. kinds: of its members; settings: theirs. identity:
    of the target behind it."""

    label: str
    kinds: tuple[str, ...]
    settings: tuple[Plain, ...]
    identity: str


class DirectionRecord(Settings):
    """A semantic direction that was fitted to the target. samples: codes; held_out_accuracy, rest_accuracy:
    of the plane that it stands on, for codes of both ends that the SVM did not see, and for all between;
    spearman, monotone: rank correlation of the attribute with how far fresh codes are moved along it, and the
    share of codes whose attribute only grows."""

    attribute: str
    samples: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)]
    rest_accuracy: Annotated[float, Field(ge=0, le=1)]
    spearman: Annotated[float, Field(ge=-1, le=1)]
    monotone: Annotated[float, Field(ge=0, le=1)]


class AccountRecord(Settings):
    """Images that one account bought from the target, behind a defence where it says so. role: the auditor's
    own draws, or an adversary's purchase. adversary: who averages; None for who buys every image once."""

    account: str
    role: Literal["auditor", "adversary"]
    seed: NonNegative | None
    defence: str | None = None
    adversary: str | None = None
    bought: NonNegative


class UseRecord(WhoseCopy):
    """Images that one substitute was trained on."""

    used: NonNegative


class FailureRecord(Whose):
    """A copy that could not be trained or measured, or, without an attack, a defence's utility: which step
    failed, and why."""

    step: str
    reason: str


class StepRecord(Settings):
    """A step of the audit, and its wall time in seconds when it was computed."""

    name: str
    kind: str
    seconds: Annotated[float, Field(ge=0, le=1e10)]


class Picture(Whose):
    """A grid of sample images; `file` below the directory of results.json; tiles a row, tile size (H, W) in
    pixels.

    subject: as of a Measurement; "kept" and "dropped" are bought images that a white-box attack kept, and
        never kept; "direction" are codes, a row each, moved along the direction of an `attribute`.
    """

    subject: Depicted
    attribute: str | None = None
    file: str
    columns: Positive
    tile: tuple[Positive, Positive]

    @field_validator("file")
    @classmethod
    def _below(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or len(file) > LONGEST_PATH or not file.isprintable():
            raise ValueError(f"must lead to a file below the directory of the results; got {shortened(file)}")
        return file


class FeatureRecord(Settings):
    """The feature network. held_out_accuracy: of the classifier on the reference split, None for other
    networks."""

    kind: str
    dimensions: Positive
    held_out_accuracy: Annotated[float, Field(ge=0, le=1)] | None


class TargetRecord(Settings):
    """What was audited; codes: who draws them; measured_against: itself, a `reference` (its identity), or
    what an API gave."""

    description: str
    identity: str
    image_shape: tuple[Positive, Positive, Positive]
    codes: Literal["provider", "client"]
    measured_against: Literal["target", "reference", "api"] = "target"
    reference: str | None = None


class Environment(Settings):
    """Where the audit ran."""

    ganguard: str
    python: str
    torch: str
    numpy: str
    platform: str
    processor: str
    cores: Positive
    device: str
    threads: Positive
    processes: Positive


class AuditResults(Settings):
    """Everything that an audit found."""

    format: Literal[1] = 1
    name: str
    spec: Plain
    environment: Environment
    target: TargetRecord
    real: str
    real_images: dict[Literal["train", "reference"], NonNegative]
    features: FeatureRecord
    attacks: Rows[AttackRecord]
    defences: Rows[DefenceRecord] = ()
    adversaries: tuple[str, ...] = ()
    directions: Rows[DirectionRecord] = ()
    measurements: Rows[Measurement]
    failures: Rows[FailureRecord] = ()
    refinements: Rows[RefinementRecord] = ()
    verdicts: Rows[Verdict]
    accounts: Rows[AccountRecord]
    used: Rows[UseRecord]
    skipped: Rows[SkippedRecord] = ()
    steps: Rows[StepRecord]
    pictures: Rows[Picture]

    def select(self, **wanted: object) -> list[Measurement]:
        """Measurements whose fields have the wanted values."""
        return [
            m for m in self.measurements if all(getattr(m, key) == value for key, value in wanted.items())
        ]

    def undefended(self) -> "AuditResults":
        """What there would be without defences."""
        every = {
            name: getattr(self, name)
            for name in ("measurements", "failures", "refinements", "used", "pictures")
        }
        kept = {name: tuple(row for row in rows if row.defence is None) for name, rows in every.items()}
        return self.model_copy(update={**kept, "defences": (), "adversaries": ()})


def write_results(results: AuditResults, directory: Path) -> None:
    """Write results.json and results.parquet atomically."""
    write_json(directory / "results.json", results.model_dump(mode="json"))
    rows = [m.model_dump() | {"better": MEASURES[m.metric].better} for m in results.measurements]
    write_rows(rows, directory / "results.parquet")


def read_results(directory: Path) -> AuditResults:
    """Read results.json back. Raises DataError where it is absent or not one."""
    path = directory / "results.json"
    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the directory that `ganguard audit` wrote.")
    return read_record(path, AuditResults, DataError)


def write_schema(path: Path) -> None:
    """Write the JSON schema of results.json."""
    write_bytes(path, (json.dumps(AuditResults.model_json_schema(), indent=2) + "\n").encode())
