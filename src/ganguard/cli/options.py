"""Options that several verbs share, and the settings that their texts stand for."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ganguard.base.compute import Compute
    from ganguard.base.progress import Progress
    from ganguard.data.dataset import DatasetSettings, RealImages
    from ganguard.targets.ask import Ask
    from ganguard.targets.load import TargetSettings
    from ganguard.targets.protocol import BlackBoxTarget

LARGEST = 2**62  # the largest number that fits every file and database

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The generator to query: a checkpoint directory, `hub:owner/name` on Hugging Face's hub, "
        "a pipeline (`diffusers:DIRECTORY` or `diffusers:owner/name`), "
        "`python:module:factory`, a file (`onnx:FILE`, `exported:FILE`, `state_dict:FILE`, "
        "`torchscript:FILE`), or a YAML mapping as in a spec.",
        show_default=False,
    ),
]
LatentDim = Annotated[int | None, typer.Option(help="Entries of z, if the target does not say how many.")]
Trusted = Annotated[
    bool,
    typer.Option(
        "--trusted", help="Let a TorchScript or torch.export file run: you know where it comes from."
    ),
]
PixelRange = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--range",
        metavar="LOW HIGH",
        help="Black and white in the images of a generator that is not ganguard's, if not -1 and 1.",
        show_default=False,
    ),
]
AskedFor = Annotated[
    list[str] | None,
    typer.Option(
        "--ask",
        metavar="CONDITION",
        help="Ask a conditional target for this class or prompt alone; may be repeated. "
        "`--ask '{cat: 0.9, dog: 0.1}'` asks in proportions, `--ask spread` for what varies most, `--ask "
        "conditions` for what is covered worst. Of any target that is sent codes: `--ask '{prior: "
        "truncated}'`, `--ask coreset` or `--ask uncertainty`.",
        show_default="all equally often",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=LARGEST, help="Equal seeds give equal results.")]
Out = Annotated[
    Path,
    typer.Option(
        help="Output directory. A run that was killed goes on from what lies there.", show_default=False
    ),
]
Threads = Annotated[
    int, typer.Option(min=1, help="CPU threads. Results are equal only for equal numbers of threads.")
]
Device = Annotated[str, typer.Option(help="`cpu`, `cuda`, or `auto`.")]
SpecDevice = Annotated[
    str | None,
    typer.Option(
        "--device",
        help="`cpu`, `cuda`, or `auto`; the same as `--set compute.device=…`.",
        show_default="the spec's; auto if it names none",
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="SIDE|WIDTHxHEIGHT",
        help="Size in pixels. Images from files are cropped to squares, or to its proportions, and resized.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting; join nested keys with dots. May be repeated.",
    ),
]


def with_device(changes: list[str] | None, device: str | None) -> list[str]:
    """Return the changes of --set, and that of --device, which wins, after them."""
    return [*(changes or []), *([f"compute.device={device}"] if device is not None else [])]


def dataset_of(text: str, size: str | None) -> "DatasetSettings":
    """Return the settings of the data set that a text names.

    Args:
        text: a data set's name; the path of a folder of images, a zip, Parquet or idx file, or an LMDB; or a
            YAML mapping as in a spec, which has a size of its own.
        size: the side of its images in pixels, or WIDTHxHEIGHT; None for the data set's default.

    Raises:
        SpecError: if the text names no data set, or `size` is given for data whose size is fixed.
    """
    from ganguard.base.errors import SpecError
    from ganguard.base.settings import read_yaml
    from ganguard.data import DATASETS
    from ganguard.data.at_path import IN_FILES, kind_at, not_found
    from ganguard.data.dataset import parse_dataset

    if is_mapping(text):
        return parse_dataset(read_yaml(text, "the data set"))
    if text and (kind := kind_at(Path(text))):  # an empty path would be the current folder's
        return parse_dataset({"kind": kind, "path": text, "size": _number(size)})
    if text not in DATASETS.table():
        raise SpecError(not_found(text))
    if text in IN_FILES:
        which = "folder" if text == "image_folder" else "file"
        raise SpecError(f"{text}: the {which} is not named. Give its path in place of the name.")
    if size is None:
        return parse_dataset({"kind": text})
    if "size" not in DATASETS.load(text).model_fields:
        raise SpecError(f"--size {size}: the images of {text} have a fixed size. Leave --size out.")
    return parse_dataset({"kind": text, "size": _number(size)})


def _number(size: str | None) -> int | str | None:
    """Return a side as the number that it is, and any other size as it is."""
    return int(size) if size and size.isdecimal() and len(size) < 10 else size


def asked_for(texts: list[str] | None) -> object:
    """Return what the texts of --ask stand for in a spec: a word ("uniform", "spread" …), names, a list of
    names as a spec has it, or a mapping of names to shares; None without any.

    Raises SpecError if one is no list or mapping that can be read.
    """
    from ganguard.base.settings import read_yaml
    from ganguard.targets.ask import WORDS

    if texts and len(texts) == 1 and texts[0] in WORDS:
        return texts[0]
    if texts and len(texts) == 1 and (is_mapping(texts[0]) or texts[0].startswith("[")):
        return read_yaml(texts[0], "--ask")
    return texts or None


def ask_of_options(texts: list[str] | None, target: "BlackBoxTarget") -> "Ask | None":
    """Return how the texts of --ask ask a target, for the store of a purchase; None if it takes no
    conditions.

    Raises SpecError or TargetError if it cannot be asked so.
    """
    from ganguard.targets.ask import ask_to_store, parse_ask, require_askable

    asked = asked_for(texts)
    ask = None if asked is None else parse_ask(asked, "--ask")
    require_askable(target, ask)
    return ask_to_store(target, ask)


def default_architecture(values: dict[str, Any], changes: list[str]) -> dict[str, Any]:
    """Return a training's architecture if its values name none: none, too, if they or the changes name a
    checkpoint to begin with, whose architecture it then has, or if it has recipes that name their own."""
    if values.get("kind") == "strongest":
        return {}
    begins = "beginning" in values or any(change.startswith("beginning") for change in changes)
    return {} if "architecture" in values or begins else {"architecture": "sngan"}


def is_mapping(text: str) -> bool:
    """Return whether a text is a YAML mapping, rather than a name or a path."""
    return text.lstrip().startswith("{")


def load_and_say(settings: "DatasetSettings", progress: "Progress | None" = None) -> "RealImages":
    """Return the images of a data set, and say on standard error which were skipped as unreadable, and what
    else was done to them.

    Raises DataError if the data cannot be read, or hold bad images that are not to be skipped.
    """
    from ganguard.base.progress import silent
    from ganguard.data.dataset import load_dataset

    real = load_dataset(settings, progress or silent)
    if real.skipped:
        typer.echo(
            f"{settings.kind}: {real.skipped.count:,} images could not be read and are left out:", err=True
        )
        for name, reason in real.skipped.listed:
            typer.echo(f"  {name}: {reason}", err=True)
    for decided in real.decided:
        typer.echo(f"{settings.kind}: {decided}", err=True)
    if real.stray:
        what = "hidden files, or files of an operating system, are left out"
        typer.echo(f"{settings.kind}: {real.stray:,} {what}", err=True)
    if real.made_rgb:
        what = "images are grey and were made RGB, since others have colour or `channels` says so"
        typer.echo(f"{settings.kind}: {real.made_rgb:,} of {len(real.images):,} {what}", err=True)
    return real


def open_and_say(settings: "TargetSettings", compute: "Compute") -> "BlackBoxTarget":
    """Open a target, and say on standard error what may not be as its owner means it.

    Raises TargetError or CheckpointError.
    """
    from ganguard.targets.load import load_target
    from ganguard.targets.protocol import notes_of

    opened = load_target(settings, compute)
    for note in notes_of(opened):
        typer.echo(note, err=True)
    return opened


def target_of(
    text: str, latent_dim: int | None, trusted: bool, pixel_range: tuple[float, float] | None = None
) -> "TargetSettings":
    """Return the settings of the target that a TARGET argument names. Raises SpecError if they do not fit."""
    from ganguard.base.settings import read_yaml
    from ganguard.targets.load import parse_target

    if is_mapping(text):
        return parse_target(_with_options(read_yaml(text, "the target"), latent_dim, trusted, pixel_range))
    kind, _, rest = text.partition(":")
    values: dict[str, Any] = {kind: rest} if _begins_with_kind(text) else {"checkpoint": text}
    return parse_target(_with_options(values, latent_dim, trusted, pixel_range))


def _begins_with_kind(text: str) -> bool:
    """Return whether a TARGET argument begins with its kind."""
    kind, colon, _ = text.partition(":")
    kinds = ("diffusers", "exported", "hub", "onnx", "python", "state_dict", "torchscript")
    return bool(colon) and kind in kinds


def names_target(text: str) -> bool:
    """Return whether a text that may name a set of images names a target, by its kind or as a mapping. A
    checkpoint's directory does not say so."""
    from ganguard.base.settings import read_yaml
    from ganguard.targets import TARGETS

    if not is_mapping(text):
        return _begins_with_kind(text)
    values = read_yaml(text, "the mapping")
    return isinstance(values, dict) and "kind" not in values and bool(values.keys() & TARGETS.table().keys())


def _with_options(
    values: object, latent_dim: int | None, trusted: bool, pixel_range: tuple[float, float] | None
) -> object:
    """Return what a text says of a target, with what the verb's options say of it."""
    options: dict[str, Any] = {}
    if latent_dim is not None:
        options["latent_dim"] = latent_dim
    if trusted:
        options["trusted"] = True
    if pixel_range is not None:
        options["range"] = pixel_range
    return {**values, **options} if isinstance(values, dict) else values
