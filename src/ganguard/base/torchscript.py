"""TorchScript files. Such a file is a program: it is opened only where the user says that it is trusted, and
only when whole.

torch deprecates TorchScript, but networks are still published in it; the one place that silences that warning
is here.
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
LONGEST_REASON = 200  # characters of what torch or a program says was wrong


def trusted_digest(file: Path, trusted: bool, what: str, error: type[InputError]) -> str:
    """SHA-256 of the bytes of a file. Raises `error` where it is absent, or is not trusted: then it is not
    even opened.

    what: such a file holds ("generator").
    """
    if not trusted:
        known = "Set `trusted: true` (a command: --trusted) if you know where it comes from."
        raise error(f"{file}: TorchScript can run code. {known}")
    if not file.is_file():
        raise error(f"{file}: no such file. Give the path of a TorchScript {what}.")
    return file_digest(file)


def load_program(file: Path, error: type[InputError]) -> nn.Module:
    """The module in a file of torch.jit.save, on CPU. Raises `error` where it is none, or not whole.

    Only what is trusted may come here: loading can run code.
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
        except Exception as problem:  # noqa: BLE001 - on a damaged file, zipfile and torch raise whatever they stumble over
            reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
            raise error(f"{file}: not a TorchScript file ({one_line(reason, LONGEST_REASON)}).") from None


def raised(problem: Exception) -> str:
    """What a program raised, in one line: the last of the interpreter's many, or the name of its type."""
    lines = str(problem).strip().splitlines()
    return one_line(lines[-1], LONGEST_REASON) if lines else type(problem).__name__


def _archived(file: Path) -> Counter[int]:
    """Sizes of the parts of an archive that hold tensors, which are those with a number for a name.

    Raises ValueError where it is no TorchScript archive, or unpacks to more than its own size and MOST_CODE.
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
    """Raise ValueError where a tensor says that it is larger than the part that holds it: torch would read
    beyond its end."""
    storages = (value.untyped_storage() for value in module.state_dict().values())
    try:
        said = {storage.data_ptr(): storage.nbytes() for storage in storages if storage.nbytes()}
    except RuntimeError:  # it has no memory at all
        raise ValueError("one of its tensors is cut off") from None
    missing = Counter(said.values()) - parts
    if missing:
        raise ValueError(
            f"no part of it is of {min(missing):,} bytes, as one of its tensors would have to be"
        )
