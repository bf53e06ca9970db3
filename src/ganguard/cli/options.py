"""Options that several verbs share, and what their texts mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ganguard.base.progress import Progress
    from ganguard.data.dataset import DatasetSettings, RealImages
    from ganguard.targets.load import TargetSettings

LARGEST = 2**62  # the largest number that fits every file and database
MOST_SIDE = 8192  # pixels, as in ganguard.base.settings

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="What to query: a checkpoint directory, `hub:owner/name` on Hugging Face's hub, `python:module:factory`, or "
        "`torchscript:FILE`.",
        show_default=False,
    ),
]
LatentDim = Annotated[
    int | None, typer.Option(help="Entries of z, for a python or TorchScript target that does not say.")
]
Trusted = Annotated[
    bool, typer.Option("--trusted", help="Allow a TorchScript file to run: you know where it comes from.")
]
Seed = Annotated[int, typer.Option(min=0, max=LARGEST, help="Same seed, same result.")]
Out = Annotated[
    Path, typer.Option(help="Directory for what comes out. A killed run goes on there.", show_default=False)
]
Threads = Annotated[int, typer.Option(min=1, help="CPU threads. Equal results need equal threads.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]
Size = Annotated[
    int | None,
    typer.Option(
        min=1, max=MOST_SIDE, help="Side in pixels: crop the images of files to squares and resize them."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one setting; dots between nested keys. May be repeated."
    ),
]


def dataset_of(text: str, size: int | None) -> "DatasetSettings":
    """A data set's name, the path of a folder of images, a zip file, an LMDB or Parquet, or a YAML mapping as
    in a spec, which says its own size. Raises SpecError; also for a `size` of data that has its own."""
    from ganguard.base.errors import SpecError, unknown_name
    from ganguard.base.settings import read_yaml
    from ganguard.data import DATASETS
    from ganguard.data.dataset import parse_dataset

    if is_mapping(text):
        return parse_dataset(read_yaml(text, "the data set"))
    if text and (kind := _kind_at(Path(text))):  # the path of nothing is this folder's
        return parse_dataset({"kind": kind, "path": text, "size": size})
    if text not in DATASETS.table():
        raise SpecError(
            unknown_name("data set", text, list(DATASETS.table()))
            + ". Or give the path of a folder of images."
        )
    if text in ("image_folder", "image_zip", "lsun_lmdb", "parquet"):
        which = "folder" if text == "image_folder" else "file"
        raise SpecError(f"{text}: which {which} is not said. Give its path in place of the name.")
    if size is None:
        return parse_dataset({"kind": text})
    if "size" not in DATASETS.load(text).model_fields:
        raise SpecError(f"--size {size}: the images of {text} have a size of their own. Leave --size out.")
    return parse_dataset({"kind": text, "size": size})


def is_mapping(text: str) -> bool:
    """Whether a text is a YAML mapping, and no name or path."""
    return text.lstrip().startswith("{")


def _kind_at(path: Path) -> str | None:
    """The data set that a path leads to: an LMDB or several, a folder of Parquet files (or of a folder of
    them, as a data set's repository is), a folder, a zip or Parquet file."""
    if path.is_dir():
        lmdb = (path / "data.mdb").is_file() or any(path.glob("*/data.mdb"))
        parquet = any(path.glob("*.parquet")) or any(path.glob("*/*.parquet"))
        return "lsun_lmdb" if lmdb else "parquet" if parquet else "image_folder"
    return {".zip": "image_zip", ".parquet": "parquet"}.get(path.suffix.lower()) if path.is_file() else None


def load_and_say(settings: "DatasetSettings", progress: "Progress | None" = None) -> "RealImages":
    """The images of a data set; those that could not be read, and were to be skipped, are said on standard
    error."""
    from ganguard.base.progress import silent
    from ganguard.data.dataset import load_dataset

    real = load_dataset(settings, progress or silent)
    if real.skipped:
        typer.echo(
            f"{settings.kind}: {real.skipped.count:,} images could not be read and are left out:", err=True
        )
        for name, reason in real.skipped.listed:
            typer.echo(f"  {name}: {reason}", err=True)
    return real


def target_of(text: str, latent_dim: int | None, trusted: bool) -> "TargetSettings":
    """A TARGET argument as settings."""
    from ganguard.targets.load import parse_target

    kind, colon, rest = text.partition(":")
    values: dict[str, Any] = (
        {kind: rest} if colon and kind in ("hub", "python", "torchscript") else {"checkpoint": text}
    )
    if latent_dim is not None:
        values["latent_dim"] = latent_dim
    if trusted:
        values["trusted"] = True
    return parse_target(values)
