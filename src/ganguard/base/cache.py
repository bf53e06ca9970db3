"""Content keys and atomic writes: finished work is found again, and whatever is found is whole.

The key of a piece of work hashes everything that its result depends on: its name, the source code of the
packages it runs through, its canonical settings, and the digests of its inputs. A result is written beside
its place and renamed into it.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from ganguard.base.image_rows import ImageRows

_CHUNK = 1 << 20
TEMPORARY = ".ganguard.tmp"  # ending of the names of files and directories that are being written
_SOURCES = frozenset({".py", ".j2", ".css"})
_ERROR_NUMBER = re.compile(r"(?:os error|code:) (\d+)")  # in safetensors' message about a failed write


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal texts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(**parts: Any) -> str:
    """Return the SHA-256 (64 hex digits) of the named parts, each a JSON value."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tensor_digest(tensors: Mapping[str, Tensor | ImageRows]) -> str:
    """Return the SHA-256 of the names, types, shapes and values of tensors, in the order of their names.
    ImageRows count as the tensor of the chosen images would."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        found = tensors[name]
        for number, part in enumerate(found.parts() if isinstance(found, ImageRows) else [found]):
            array = np.ascontiguousarray(part.detach().cpu().numpy())
            if number == 0:
                shape = found.shape if isinstance(found, ImageRows) else array.shape
                digest.update(f"{name}:{array.dtype.str}:{shape};".encode())
            # A view, not a copy: the array may be a map of more than memory holds.
            digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


@cache
def library_version(library: str) -> str:
    """Return the version of an installed package, or "absent"."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


@cache
def code_version(*packages: str, but: frozenset[str] = frozenset()) -> str:
    """Return a SHA-256 of every source file (templates too) in the named packages or modules.

    A change of code is a change of key, except in the modules `but`, which must not change a result.
    """
    left_out = {_origin(module) for module in but}
    digest = hashlib.sha256()
    for package in sorted(set(packages)):
        root = _origin(package)
        inside = [file for file in root.parent.rglob("*") if file.suffix in _SOURCES]
        files = sorted(inside) if root.name == "__init__.py" else [root]
        for file in files:
            if file not in left_out:
                digest.update(f"{package}/{file.relative_to(root.parent)}:{file_digest(file)};".encode())
    return digest.hexdigest()


def _origin(module: str) -> Path:
    """Return the file that a package or module is read from. Raises ValueError if there is none."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise ValueError(f"no package {module!r}")
    return Path(found.origin)


@contextmanager
def atomic_path(path: Path) -> Generator[Path]:
    """Yield a temporary file beside `path` to write to. On leaving without an error it durably replaces
    `path`.

    An OSError of writing names `path`, and leaves the file that was there before unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            _put(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _put(temporary: Path, path: Path) -> None:
    """Rename a finished file into its place, durably."""
    temporary.chmod(0o666 & ~_umask())
    _sync(temporary)
    temporary.replace(path)
    _sync(path.parent)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Make an OSError in the body name `path`, if it names no file or a temporary one."""
    try:
        yield
    except OSError as problem:
        named = [str(name) for name in (problem.filename, problem.filename2) if name is not None]
        if problem.errno is not None and (not named or any(TEMPORARY in name for name in named)):
            problem.filename, problem.filename2 = str(path), None
        raise


def remove_temporaries(directory: Path, name: str = "") -> None:
    """Remove the temporary files that killed writers left in `directory` and below, for files whose names
    begin with `name`.

    The caller must be the only process that may write there now.
    """
    for path in list(directory.rglob(f".{name}*{TEMPORARY}")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, with its keys in the order given. NaN is refused."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file atomically. Raises OSError if that fails, as the other writers do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with naming(path):
        # safetensors writes to a file of its own beside the given one. In a temporary directory, a kill
        # leaves no file that `remove_temporaries` would not find.
        directory = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY))
        try:
            save_file(contiguous, directory / "tensors", None if metadata is None else dict(metadata))
            _put(directory / "tensors", path)
        except SafetensorError as problem:
            if not (found := _ERROR_NUMBER.search(str(problem))):
                raise
            raise OSError(int(found[1]), os.strerror(int(found[1]))) from problem
        finally:
            shutil.rmtree(directory, ignore_errors=True)


def copy_file(source: Path, path: Path) -> None:
    """Copy a file atomically."""
    with atomic_path(path) as temporary:
        shutil.copyfile(source, temporary)


def copy_directory(source: Path, path: Path) -> None:
    """Copy every file below `source` to its place below `path`, each atomically. Other files below `path`
    stay."""
    for file in sorted(source.rglob("*")):
        if file.is_file():
            copy_file(file, path / file.relative_to(source))


def publish_directory(temporary: Path, path: Path) -> None:
    """Rename a finished directory into its place. If a directory is there already, keep that one and remove
    the new one."""
    for file in temporary.rglob("*"):
        _sync(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        temporary.rename(path)
    except OSError:
        if not path.is_dir():
            raise
        shutil.rmtree(temporary)
    _sync(path.parent)


def cache_directory() -> Path:
    """Return the directory for what this user downloads or decodes once: $XDG_CACHE_HOME/ganguard, or
    ~/.cache/ganguard."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ganguard"


@cache
def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
