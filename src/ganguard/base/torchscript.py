"""TorchScript files. Such a file is a program, so it is opened only if the user says that it is trusted, and
only if it is whole.

torch deprecates TorchScript, but networks are still published in it. This module is the only place that
silences the deprecation warning.
"""

import warnings
import zipfile
from collections import Counter
from pathlib import Path

import torch
from torch import nn

from ganguard.base.cache import file_digest
from ganguard.base.errors import InputError
from ganguard.base.settings import one_line

MOST_CODE = 64 << 20  # bytes that the compressed parts of a file, which are its code, may unpack to
LONGEST_REASON = 200  # characters that a message repeats of what torch or a program said


def trusted_digest(file: Path, trusted: bool, what: str, error: type[InputError]) -> str:
    """Return the SHA-256 of a file's bytes.

    Raises `error` if the file is absent, or if it is not trusted; then it is not even opened.

    Args:
        file: path of the TorchScript file.
        trusted: whether the user says that the file may run code.
        what: what such a file holds, for messages ("generator").
        error: class of the error to raise.
    """
    if not trusted:
        known = "Set `trusted: true` (on the command line, --trusted) if you know where the file comes from."
        raise error(f"{file}: TorchScript can run code. {known}")
    if not file.is_file():
        raise error(f"{file}: no such file. Give the path of a TorchScript {what}.")
    return file_digest(file)


def load_program(file: Path, error: type[InputError]) -> nn.Module:
    """Load the module from a file that torch.jit.save wrote, on CPU. Raises `error` if the file is no such
    file, or is not whole.

    Call this with trusted files only: loading can run code.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.load` is deprecated", category=DeprecationWarning
        )
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.load` is not supported", category=DeprecationWarning
        )
        try:
            parts = _archived(file)
            module: nn.Module = torch.jit.load(file, map_location="cpu")
            _require_whole(module, parts)
            return module
        except Exception as problem:  # noqa: BLE001 - zipfile and torch raise any error on a damaged file
            reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
            raise error(f"{file}: not a TorchScript file ({one_line(reason, LONGEST_REASON)}).") from None


def raised(problem: Exception) -> str:
    """Return what a program raised, as one line: the last of the interpreter's many lines, or the name of the
    error's type."""
    lines = str(problem).strip().splitlines()
    return one_line(lines[-1], LONGEST_REASON) if lines else type(problem).__name__


def _archived(file: Path) -> Counter[int]:
    """Return the sizes of the parts of an archive that hold tensors. Their names are numbers.

    Raises ValueError if the file is no TorchScript archive, or unpacks to more than its own size plus
    MOST_CODE.
    """
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    unpacked = sum(part.file_size for part in parts)
    if unpacked > file.stat().st_size + MOST_CODE:
        raise ValueError(f"it unpacks to {unpacked:,} bytes")
    if not any(part.filename.endswith("/constants.pkl") for part in parts):
        raise ValueError("it holds no TorchScript program")
    return Counter(part.file_size for part in parts if part.filename.rpartition("/")[2].isdecimal())


def _require_whole(module: nn.Module, parts: Counter[int]) -> None:
    """Raise ValueError if a tensor claims to be larger than the part that holds it: torch would read beyond
    its end."""
    storages = (value.untyped_storage() for value in module.state_dict().values())
    try:
        said = {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}
    except RuntimeError:  # the tensor has no memory at all
        raise ValueError("one of its tensors is cut off") from None
    missing = Counter(said.values()) - parts
    if missing:
        raise ValueError(f"one of its tensors has {min(missing):,} bytes, and no part of the file has")
