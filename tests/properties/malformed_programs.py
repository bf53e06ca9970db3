"""TorchScript archives that are damaged, inflated, hold live pickles, or are not TorchScript at all."""

import io
import warnings
import zipfile
from collections.abc import Iterator

import torch
from malformed_mutations import Runs, Variant, flipped, foreign, overwritten, pickles, stirred, truncated
from torch import Tensor, nn

Parts = dict[str, bytes]


class Paint(nn.Module):
    """A generator: z (N, 2) -> images (N, 1, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, z: Tensor) -> Tensor:
        return (self.gain * z[:, :1, None, None]).tanh().expand(-1, 1, 4, 4)


def program() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(Paint()), buffer)
    return buffer.getvalue()


def parts_of(content: bytes) -> Parts:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(parts: Parts, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def program_variants(marker: str) -> Iterator[Variant]:
    whole = program()
    parts = parts_of(whole)
    yield "whole", whole
    yield "whole, packed anew", archive_of(parts)
    yield from truncated(whole, 15)
    directory = whole.rindex(b"PK\x05\x06")
    yield from flipped(whole, 30, start=whole.index(b"PK\x01\x02"))
    yield from stirred(whole, 15)
    yield from overwritten(whole, [directory + 8, directory + 12, directory + 16], 4)
    yield from foreign(marker)
    yield from _saved(marker)
    for name, content in parts.items():
        short = name.partition("/")[2]
        yield f"{short} removed", archive_of({n: c for n, c in parts.items() if n != name})
        yield f"{short} empty", archive_of({**parts, name: b""})
        yield f"{short} cut", archive_of({**parts, name: content[: len(content) // 2]})
        yield f"{short} is a pickle", archive_of({**parts, name: dict(pickles(marker))["protocol 2"]})
    root = next(iter(parts)).partition("/")[0]
    for name in (f"{root}/extra", f"{root}/data.pkl", f"{root}/data/0", f"{root}/constants.pkl"):
        yield f"a bomb as {name}", archive_of({**parts, name: bytes(80 << 20)}, zipfile.ZIP_DEFLATED)
    yield "a path that climbs", archive_of({**parts, "../../../tmp/climbed": b"x"})
    yield "ten thousand parts", archive_of({**parts, **{f"{root}/extra/{i}": b"" for i in range(10_000)}})
    source = next(name for name in parts if name.endswith(".py"))
    yield "code that is none", archive_of({**parts, source: b"class ("})
    yield "code that is deep", archive_of({**parts, source: parts[source].replace(b"tanh", b"(" * 300)})
    yield (
        "other images",
        archive_of({**parts, source: parts[source].replace(b"[-1, 1, 4, 4]", b"[-1, 2, 4, 4]")}),
    )


def _saved(marker: str) -> Iterator[Variant]:
    """Yield what torch.save writes: pickles, in a zip file and bare."""
    for name, value in (
        ("live", Runs(marker)),
        ("weights", {"a": torch.zeros(3)}),
        ("a module", nn.Linear(2, 2)),
    ):
        for zipped in (True, False):
            buffer = io.BytesIO()
            torch.save(value, buffer, _use_new_zipfile_serialization=zipped)
            yield f"torch.save of {name}, {'zip' if zipped else 'bare'}", buffer.getvalue()
