"""The files of a pipeline: where they are, and which are refused before any of them is opened.

A pipeline is a directory with a model_index.json, which names for each of its parts a library and a class,
and a folder for each part.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from itertools import chain
from pathlib import Path
from typing import Any, cast

from ganguard.base.cache import content_key, file_digest
from ganguard.base.errors import TargetError
from ganguard.base.settings import TooLarge, one_line, read_json
from ganguard.targets.diffusion.quiet import diffusers_library, heard

INDEX = "model_index.json"
LIBRARIES = ("diffusers", "transformers")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".msgpack", ".h5")
"""Ends of files of weights that are pickles, or of other frameworks."""
READ = (".json", ".safetensors", ".txt", ".model", ".spm", ".jinja")
"""Ends of files that images may depend on."""


def versions() -> dict[str, str]:
    """Return the versions of the libraries that make the images, so far as they are installed."""
    found: dict[str, str] = {}
    for library in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[library] = version(library)
    return found


def directory_of(pipeline: str, revision: str, variant: str | None) -> Path:
    """Return the directory of a pipeline, downloading it first for a name on the hub.

    The network is used only if the files are not in the cache of Hugging Face's client. Raises TargetError if
    it cannot be downloaded.
    """
    if Path(pipeline).is_dir():
        return Path(pipeline)
    if Path(pipeline).exists():
        raise TargetError(
            "a pipeline is a directory with a model_index.json; this is a file. Load it with diffusers "
            "(from_single_file), and save it with save_pretrained."
        )
    with heard():
        from huggingface_hub import snapshot_download

        # Each version of the client raises its own error if the files are not there yet.
        with suppress(Exception):
            kept = Path(snapshot_download(pipeline, revision=revision, local_files_only=True))
            if _is_whole(kept, variant):
                return kept
        try:
            return Path(
                diffusers_library().DiffusionPipeline.download(
                    pipeline,
                    revision=revision,
                    variant=variant,
                    use_safetensors=True,
                    trust_remote_code=False,
                )
            )
        except Exception as problem:  # noqa: BLE001 - the client raises its own errors, HTTP's, and the system's
            raise TargetError(
                f"no such directory, and revision {one_line(revision, 60)!r} cannot be downloaded from "
                f"Hugging Face's hub ({one_line(problem, 160)}). Check name, license and network, or "
                "download the pipeline on another machine and give its directory."
            ) from None


def _is_whole(directory: Path, variant: str | None) -> bool:
    """Return whether the parts that a pipeline names are there, each with weights of the variant if it has a
    model's configuration."""
    dots = 1 if variant is None else 2  # in model.safetensors, and in model.fp16.safetensors
    for part in parts_of(directory):
        folder = directory / part
        if not folder.is_dir():
            return False
        weights = [file.name for file in folder.glob("*.safetensors")]
        wanted = [
            name for name in weights if name.count(".") == dots and f".{variant or 'safetensors'}" in name
        ]
        if (folder / "config.json").is_file() and not wanted:
            return False
    return True


def read_index(directory: Path) -> Mapping[str, Any]:
    """Return what a pipeline says of itself. Raises TargetError if the directory is none's."""
    try:
        found = read_json(directory / INDEX)
    except (OSError, TooLarge, ValueError) as problem:
        said = one_line(problem, 120) if (directory / INDEX).exists() else f"it holds no {INDEX}"
        raise TargetError(f"no pipeline that save_pretrained of diffusers wrote: {said}.") from None
    if not isinstance(found, dict):
        raise TargetError(f"{INDEX} must hold a mapping; got {type(found).__name__}.")
    return cast(Mapping[str, Any], found)


def parts_of(directory: Path) -> dict[str, tuple[str, str]]:
    """Return the parts of a pipeline that it has: name -> (library, class). Raises TargetError."""
    parts: dict[str, tuple[str, str]] = {}
    for name, value in read_index(directory).items():
        if name.isidentifier() and not name.startswith("_") and isinstance(value, list) and len(value) == 2:
            library, kind = cast(list[object], value)
            if isinstance(library, str) and isinstance(kind, str):
                parts[name] = (library, kind)
    return parts


def absent_of(directory: Path) -> list[str]:
    """Return the parts that a pipeline was saved without. Raises TargetError."""
    return [name for name, value in read_index(directory).items() if value == [None, None]]


def require_readable(directory: Path) -> None:
    """Raise TargetError if a pipeline is made by code that comes with it, or has weights that are pickles."""
    kind = read_index(directory).get("_class_name")
    if not isinstance(kind, str) or not kind.isidentifier():
        raise TargetError(
            "a pipeline with code of its own is not run: its _class_name must be a class of diffusers; got "
            f"{one_line(kind, 100)}. Have a function of yours make it: {{python: …}}."
        )
    for name, (library, part) in parts_of(directory).items():
        _require_known(library, part, name, directory)
        _require_safetensors(directory / name)


def _require_known(library: str, kind: str, part: str, directory: Path) -> None:
    # Beside the two libraries, diffusers takes modules among its own pipelines, such as stable_diffusion.
    own = library in LIBRARIES or (library.isidentifier() and _among_pipelines(library))
    if not own or (directory / part / f"{library}.py").exists():
        raise TargetError(
            f"its part {one_line(part, 60)!r} is {one_line(f'{library}.{kind}', 100)}, which is code of its "
            "own, and is not run. Have a function of yours make the pipeline: {python: …}."
        )


def _among_pipelines(module: str) -> bool:
    with heard():
        return hasattr(diffusers_library().pipelines, module)


def _require_safetensors(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    if found := sorted(file.name for file in folder.glob("*") if file.suffix in PICKLES):
        raise TargetError(
            f"{folder.name}/{one_line(found[0], 80)}: pickled weights are not read. Load the pipeline where "
            "you trust it, and save it with save_pretrained(…, safe_serialization=True)."
        )


def digest_of(directory: Path) -> str:
    """Return a digest of the files that the images of a pipeline may depend on, wherever it lies."""
    parts = chain.from_iterable(sorted((directory / part).rglob("*")) for part in parts_of(directory))
    read = [file for file in parts if file.suffix in READ and file.is_file()]
    files = {str(file.relative_to(directory)): file_digest(file) for file in (directory / INDEX, *read)}
    return content_key(files=files)
