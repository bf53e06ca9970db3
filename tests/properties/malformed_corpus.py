"""The corpus of damaged files. Each is carried to a door: the function of ours that reads such a file."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from malformed_images import png_lies, raster_variants
from malformed_mutations import foreign, json_texts, json_variants
from malformed_networks import (
    CLASSIFIER,
    IDENTITY,
    Files,
    Training,
    checkpoint_variants,
    classifier_variants,
    state_variants,
)
from malformed_programs import program_variants
from malformed_results import results_variants
from malformed_tables import parquet_variants
from malformed_texts import changes, factories, yaml_variants

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.audit.spec.reading import read_spec
from ganguard.base.codecs import decode_image
from ganguard.base.compute import Compute
from ganguard.base.settings import parse
from ganguard.data.image_folder import ImageFolder
from ganguard.data.parquet import read_parquet
from ganguard.metrics.features.classifier import WEIGHTS
from ganguard.queries.store import DESCRIPTION as STORE
from ganguard.queries.store import Store
from ganguard.report import write_report
from ganguard.results.records import read_results
from ganguard.targets.checkpoint import CheckpointTarget
from ganguard.targets.programs.torchscript import TorchScriptTarget
from ganguard.targets.python_factory import PythonTarget
from ganguard.training.state import load_state, saved_step

# keys of a spec: the refusal of a spec without a file name must name one of them
KEYS = (
    "spec",
    "target",
    "real: ",
    "attacks",
    "unknown",
    "image_folder.",
    "fidelity.",
    "sngan.",
    "classifier.",
)
COMPUTE = Compute(device="cpu", threads=1)


@dataclass(frozen=True)
class Case:
    """One damaged input.

    Attributes:
        door: the name of the door, in `DOORS`.
        name: what is wrong with the input.
        files: the files in the directory that the door gets.
        given: the text that the door gets besides.
        blames: a refusal must contain one of these.
    """

    door: str
    name: str
    files: Files
    given: str = ""
    blames: tuple[str, ...] = ()

    def lay_out(self, directory: Path) -> None:
        """Make `directory` anew, with the files of this case in it."""
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for name, content in self.files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_bytes(content)


Door = Callable[[Path, str], object]


def _report(directory: Path, _: str) -> None:
    write_report(read_results(directory), directory)


def _state(directory: Path, _: str) -> None:
    saved_step(directory / "training.safetensors")
    load_state(directory / "training.safetensors", identity=IDENTITY, **vars(Training()))


def _untrusted(directory: Path, _: str) -> None:
    TorchScriptTarget(torchscript=str(directory / "g.pt"), latent_dim=2).load(COMPUTE)


DOORS: dict[str, Door] = {
    "image": lambda directory, _: decode_image(directory / "a.png", str(directory / "a.png")),
    "image folder": lambda directory, _: ImageFolder(path=str(directory)).load(),
    "parquet": lambda directory, _: read_parquet([directory / "a.parquet"], 4),
    "checkpoint": lambda directory, _: CheckpointTarget(checkpoint=str(directory)).load(COMPUTE),
    "checkpoint fingerprint": lambda directory, _: CheckpointTarget(checkpoint=str(directory)).fingerprint(),
    "checkpoint under another name": lambda directory, given: load_checkpoint(directory / given),
    "state": _state,
    "classifier": lambda directory, _: CLASSIFIER.load(directory, 1),
    "spec": lambda directory, _: read_spec(str(directory / "a.yaml"), []),
    "change": lambda _, given: read_spec("digits", [given]),
    "program": lambda directory, _: TorchScriptTarget(
        torchscript=str(directory / "g.pt"), latent_dim=2, trusted=True
    ).load(COMPUTE),
    "untrusted program": _untrusted,
    "factory": lambda _, given: parse(PythonTarget, {"python": given}, "target").load(COMPUTE),
    "results": _report,
    "store": lambda directory, _: Store(directory, "t", "a", 0).create(),
}


def corpus(marker: str) -> Iterator[Case]:
    """Yield every case. `marker` is the directory that appears if code in any file runs."""
    for name, content in [*raster_variants(), *png_lies(), *foreign(marker)]:
        yield Case("image", name, {"a.png": content}, blames=("a.png",))
    for name, content in foreign(marker):
        yield Case("image folder", name, {"a.png": content, "b.png": content}, blames=("a.png", "b.png"))
    for name, content in [
        *json_variants({"target": "t", "account": "a", "seed": 0}, 40),
        *json_texts({}),
        *foreign(marker),
    ]:
        yield Case("store", name, {STORE: content}, blames=(STORE, "holds another harvest"))
    for name, content in parquet_variants(marker):
        yield Case("parquet", name, {"a.parquet": content}, blames=("a.parquet",))
    yield from _networks(marker)
    yield from _texts(marker)
    for name, content in program_variants(marker):
        yield Case("program", name, {"g.pt": content}, blames=("g.pt",))
        yield Case("untrusted program", name, {"g.pt": content}, blames=("g.pt",))
    for name, files in results_variants(marker):
        yield Case("results", name, files, blames=("results.json", "grids", "/case: "))


def _networks(marker: str) -> Iterator[Case]:
    for name, files in checkpoint_variants(marker):
        blames = ("checkpoint.json", "generator.safetensors", "discriminator.safetensors", "case")
        yield Case("checkpoint", name, files, blames=blames)
        if name.startswith("checkpoint.json"):
            yield Case("checkpoint fingerprint", name, files, blames=blames)
    for name, content in foreign(marker):
        for given in ("model.pt", "model.pkl", "model.safetensors", "model"):
            yield Case(
                "checkpoint under another name", f"{name} as {given}", {given: content}, given, (given,)
            )
    for name, content in state_variants(marker):
        yield Case("state", name, {"training.safetensors": content}, blames=("training.safetensors",))
    for name, content in classifier_variants(marker):
        yield Case("classifier", name, {WEIGHTS: content}, blames=(WEIGHTS,))


def _texts(marker: str) -> Iterator[Case]:
    for name, content in yaml_variants(marker):
        yield Case("spec", name, {"a.yaml": content}, blames=("a.yaml", *KEYS))
    for name, given in changes(marker):
        yield Case("change", name, {}, given, ("--set", *KEYS))
    for name, given in factories():
        yield Case("factory", name, {}, given, (given[:20], "target.python"))
