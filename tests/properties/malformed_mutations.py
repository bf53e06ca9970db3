"""Ways to damage a file, as bytes, as JSON and as safetensors. Each gives the same damage every time."""

import json
import pickle
import random
from collections.abc import Iterator
from typing import Any

Variant = tuple[str, bytes]  # what was done to a file, and the damaged content

WORDS = (0, 1, 2**31 - 1, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1)


def truncated(content: bytes, count: int) -> Iterator[Variant]:
    """Yield the content cut off at `count` places and more, among them the first and the last bytes."""
    places = {0, 1, 4, 7, 8, 9, 16, len(content) - 1, len(content) - 4, len(content) - 8}
    places |= {len(content) * step // count for step in range(count)}
    for place in sorted(place for place in places if 0 <= place < len(content))[: count + 10]:
        yield f"truncated to {place}", content[:place]


def flipped(content: bytes, count: int, *, start: int = 0, stop: int | None = None) -> Iterator[Variant]:
    """Yield `count` copies of the content with one to four bits flipped between `start` and `stop`."""
    draw = random.Random(len(content) * 1009 + count)
    for number in range(count):
        changed = bytearray(content)
        for _ in range(1 + number % 4):
            changed[draw.randrange(start % len(content), stop or len(content))] ^= 1 << draw.randrange(8)
        yield f"bits flipped {number}", bytes(changed)


def overwritten(
    content: bytes, places: list[int], width: int = 8, order: Any = "little"
) -> Iterator[Variant]:
    """Yield the content with the number of `width` bytes at each place replaced by each of `WORDS`."""
    for place in places:
        for word in WORDS:
            if word < 256**width:
                new = word.to_bytes(width, order)
                yield f"{word} at {place}", content[:place] + new + content[place + width :]


def stirred(content: bytes, count: int) -> Iterator[Variant]:
    """Yield `count` copies of the content with a stretch zeroed, doubled, removed, or replaced by noise."""
    draw = random.Random(len(content) * 7 + count)
    for number in range(count):
        start = draw.randrange(len(content))
        stop = min(len(content), start + draw.randrange(1, 64))
        ways = (b"\0" * (stop - start), content[start:stop] * 2, b"", draw.randbytes(stop - start))
        middle = ways[number % 4]
        yield f"stirred {number}", content[:start] + middle + content[stop:]


def foreign(marker: str) -> Iterator[Variant]:
    """Yield contents of entirely other kinds of files."""
    yield "empty", b""
    yield "text", b"this is a text\n" * 20
    yield "zeros", bytes(4096)
    yield "ones", b"\xff" * 4096
    yield "noise", random.Random(0).randbytes(4096)
    yield "markup", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    yield "an entity bomb", b'<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><svg>&c;&c;</svg>'
    yield (
        "PostScript",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(touched) (w) file closefile showpage\n",
    )
    yield "a script", f"#!/bin/sh\ntouch {marker}\n".encode()
    for name, content in pickles(marker):
        yield f"a pickle: {name}", content


class Runs:
    """Makes a directory when it is unpickled: harmless proof that code ran."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.mkdir, (self.marker,)


def pickles(marker: str) -> Iterator[Variant]:
    """Yield live pickles of every protocol. Each makes the directory `marker` if it is loaded."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield f"protocol {protocol}", pickle.dumps(Runs(marker), protocol)
    text = f"cos\nmkdir\n(V{marker}\ntR.".encode()
    yield "in text", text
    yield "after a header of eight bytes", len(text).to_bytes(8, "little") + text
    yield "in JSON", json.dumps({"py/reduce": ["os.mkdir", [marker]]}).encode()


RAW = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "1" + "0" * 400,
    "1" * 5000,
    "1e-320",
    '"\\ud800"',
    '"a\\u0000b"',
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    0.5,
    2**70,
    -(2**70),
    1e300,
    "",
    "x",
    "../../x",
    "9" * 3000,
    [],
    [1],
    {},
    {"x": 1},
)
_PLACE = "@place@"


def places(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value inside a JSON value."""
    yield here
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from places(part, (*here, key))


def json_variants(value: dict[str, Any], count: int, seed: int = 0) -> Iterator[Variant]:
    """Yield `count` JSON texts of `value` with one part replaced, nested deep, or removed."""
    draw = random.Random(seed)
    found = [path for path in places(value) if path]
    for number in range(count):
        path = draw.choice(found)
        dotted = ".".join(str(part) for part in path)
        kind = number % 6
        if kind < 3:
            new = draw.choice(VALUES)
            yield f"{dotted} = {str(new)[:30]}", json.dumps(_with(value, path, new)).encode()
        elif kind == 3:
            raw = draw.choice(RAW)
            yield f"{dotted} = {raw[:30]}", _raw(value, path, raw)
        elif kind == 4:
            deep = 10 ** draw.randrange(1, 6)
            yield f"{dotted} nested {deep} deep", _raw(value, path, "[" * deep + "]" * deep)
        else:
            yield f"{dotted} is absent", json.dumps(_without(value, path)).encode()


def json_texts(value: dict[str, Any]) -> Iterator[Variant]:
    """Yield JSON files that are wrong as texts: their nesting, keys, encoding or length."""
    text = json.dumps(value)
    yield "nested 100,000 deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "a list", f"[{text}]".encode()
    yield "twice", (text + text).encode()
    yield "doubled keys", ("{" + text[1:-1] + "," + text[1:]).encode()
    yield "an unknown key", (text[:-1] + ', "surprise": 1}').encode()
    yield "an unknown key with a line break", (text[:-1] + ', "sur\\nprise\\u001b[31m": 1}').encode()
    yield "a very long key", (text[:-1] + ', "' + "k" * 100_000 + '": 1}').encode()
    yield "half a surrogate", (text[:-1] + ', "\\ud800": 1}').encode()
    yield "UTF-16", text.encode("utf-16")
    yield "a mark of byte order", b"\xef\xbb\xbf" + text.encode()
    yield "Latin-1", text.encode()[:-1] + b', "\xe9": 1}'
    yield "with NUL", text.replace(":", ":\0", 1).encode()
    yield "a comment", b"// no JSON\n" + text.encode()
    yield "many small lists", b'{"a": [' + b"[]," * 300_000 + b"[]]}"
    yield "17 MB", text.encode() + b" " * (17 << 20)


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _with(value[path[0]], path[1:], new)
    return changed


def _without(value: Any, path: tuple[Any, ...]) -> Any:
    changed = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1:
        del changed[path[0]]
    else:
        changed[path[0]] = _without(value[path[0]], path[1:])
    return changed


def _raw(value: Any, path: tuple[Any, ...], raw: str) -> bytes:
    return json.dumps(_with(value, path, _PLACE)).replace(f'"{_PLACE}"', raw).encode()


def safetensors_variants(content: bytes) -> Iterator[Variant]:
    """Yield safetensors files whose header or body cannot be right."""
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    yield from overwritten(content, [0])
    for size in (length - 1, length + 1, length + 8, len(content), 100_000_000, 100_000_001):
        yield f"a header of {size}", size.to_bytes(8, "little") + content[8:]
    first = next(name for name in header if name != "__metadata__")
    for key, values in _TENSOR_LIES.items():
        for new in values:
            yield f"{key} of {first}: {str(new)[:40]}", _safetensors(_with(header, (first, key), new), body)
    for name, value in _HEADER_LIES.items():
        yield f"header: {name}", _safetensors({**header, **value}, body)
    yield (
        "header: a tensor twice",
        _safetensors(json.dumps(header)[:-1] + f', "{first}": {json.dumps(header[first])}}}', body),
    )
    yield "header: a list", _safetensors([header], body)
    yield "header: empty", _safetensors({}, b"")
    yield "header: nested deep", _safetensors('{"a":' * 50_000 + "1" + "}" * 50_000, body)
    yield "header: not UTF-8", (8).to_bytes(8, "little") + b"\xff" * 8 + body
    yield (
        "header: without its first tensor",
        _safetensors({k: v for k, v in header.items() if k != first}, body),
    )
    yield "body: longer", content + b"\0" * 64
    yield "body: shorter", content[:-4]
    yield "body: NaN everywhere", content[: 8 + length] + b"\xff" * len(body)
    yield (
        "body: infinity everywhere",
        content[: 8 + length] + b"\x00\x00\x80\x7f" * (len(body) // 4) + body[: len(body) % 4],
    )
    yield (
        "body: the greatest floats",
        content[: 8 + length] + b"\xff\xff\x7f\x7f" * (len(body) // 4) + body[: len(body) % 4],
    )


_TENSOR_LIES: dict[str, tuple[Any, ...]] = {
    "dtype": ("F16", "BF16", "F64", "I64", "BOOL", "U8", "F8_E4M3", "F4", "C64", "X", "", 3, None),
    "shape": ([], [-1], [0], [2**62], [2**63, 2], [2**32, 2**32], [1.5], ["a"], [[1]], "4", None, [1] * 5000),
    "data_offsets": (
        [0, 0],
        [0, 2**62],
        [2**63, 2**64],
        [-8, 8],
        [8, 0],
        [4, 8],
        [0],
        [0, 4, 8],
        [0.0, 4.0],
        "0",
        None,
    ),
}
_HEADER_LIES: dict[str, dict[str, Any]] = {
    "metadata of numbers": {"__metadata__": {"training": 3}},
    "metadata is a list": {"__metadata__": ["x"]},
    "metadata is long": {"__metadata__": {"training": "x" * 2_000_000}},
    "one more tensor": {"extra": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}},
    "a tensor of a strange name": {"a\nb\x1b[31m": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}},
    "a tensor of a long name": {"n" * 100_000: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}},
    "many tensors": {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_000)},
}


def _safetensors(header: Any, body: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body
