"""Invalid specs, `--set` values, and names of Python factories."""

import random
from collections.abc import Iterator

from malformed_mutations import RAW, Variant, flipped, foreign, stirred, truncated

SPEC = """\
target: {train: {dataset: digits, architecture: sngan, steps: 30, n_dis: 1}}
real: digits
features: {kind: classifier, steps: 60}
codes: provider
attacks:
  - {kind: fidelity, architecture: {kind: sngan, width: 8}, query_budget: [70, 130], steps: 20}
seeds: [0, 1]
samples: 300
"""

STRANGE_YAML = {
    "a billion laughs": "a: &a [x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{f'*{chr(97 + i)},' * 9}]\n" for i in range(9)),
    "an anchor in itself": "a: &a [*a]\n",
    "an anchor that is not used": "target: &a {checkpoint: x}\n",
    "an alias to nothing": "real: *nowhere\n",
    "a merge": "<<: {real: digits}\n",
    "a merge of an alias": "a: &a {b: 1}\nc: {<<: *a}\n",
    "a merge of a text": "<<: x\n",
    "a merge in itself": "&a\n<<: *a\n",
    "a key that is a list": "? [a, b]\n: c\n",
    "a key that is a mapping": "? {a: b}\n: c\n",
    "a doubled key": "real: digits\nreal: digits\n",
    "two documents": "real: digits\n---\nreal: digits\n",
    "a tab": "real:\n\tkind: digits\n",
    "NUL": "real: a\0b\n",
    "NUL escaped": 'real: {kind: image_folder, path: "a\\0b"}\n',
    "half a surrogate": 'real: {kind: image_folder, path: "\\ud800"}\n',
    "bell and escape": 'real: "\\a\\e[31m"\n',
    "a line break in a key": '"re\\nal": digits\n',
    "nothing": "",
    "a comment": "# only this\n",
    "null": "~\n",
    "a number": "3\n",
    "a text": "digits\n",
    "a list": "[digits]\n",
    "a set": "!!set {a, b}\n",
    "pairs": "!!pairs [a: 1, a: 2]\n",
    "an ordered map": "!!omap [a: 1]\n",
    "binary": "real: !!binary 'AAAA'\n",
    "binary that is none": "real: !!binary '&&&'\n",
    "a date": "real: 2024-01-01\n",
    "a day that is none": "real: 2024-13-77\n",
    "a directive": "%YAML 9.9\n---\nreal: digits\n",
    "a tag of our own": "%TAG ! tag:yaml.org,2002:python/\n---\nreal: !name:os.system\n",
    "sexagesimal": "samples: " + "1:" * 1000 + "1\n",
    "hexadecimal": "samples: 0x" + "f" * 4000 + "\n",
    "a long number": "samples: " + "9" * 4000 + "\n",
    "a longer number": "samples: " + "9" * 50_000 + "\n",
    "a huge exponent": "samples: 1.0e+999999999\n",
    "a long text": "real: " + "x" * 50_000 + "\n",
    "a long path": "real: {kind: image_folder, path: /" + "x" * 4000 + "}\n",
    "a home that is none": "real: {kind: image_folder, path: ~nobody-of-that-name/x}\n",
    "a very long file": "# " + "x" * 200_000 + "\nreal: digits\n",
    "fifty thousand keys": "".join(f"k{i}: {i}\n" for i in range(50_000)),
    "ten thousand keys": "".join(f"k{i}: {i}\n" for i in range(8_000)),
    "ten thousand seeds": "seeds: [" + "1," * 10_000 + "]\n",
    "lists": "a: " + "[" * 20_000 + "]" * 20_000 + "\n",
    "open lists": "a: " + "[" * 50_000 + "\n",
    "mappings": "".join(" " * i + "a:\n" for i in range(400)),
    "dashes": "- " * 20_000 + "x\n",
    "questions": "? " * 20_000 + "x\n",
    "quotes": '"' * 20_001 + "\n",
    "blocks": "a: |\n" + " x\n" * 30_000,
    "anchors": "".join(f"- &a{i} x\n" for i in range(5_000)),
}

TAGS = (
    "!!python/object/apply:os.mkdir ['MARKER']",
    "!!python/object/new:os.mkdir ['MARKER']",
    "!!python/object:os.system {}",
    "!!python/name:os.system ''",
    "!!python/module:os ''",
    "!!python/object/apply:subprocess.Popen [['mkdir', 'MARKER']]",
    "!!python/object/apply:builtins.eval [\"__import__('os').mkdir('MARKER')\"]",
    "!!python/tuple [1, 2]",
    "!unknown x",
    "!<tag:example.org,2000:x> y",
    "!!python/object/new:type {args: [z, !!python/tuple [], {extend: !!python/name:exec }], listitems: '1'}",
)


def yaml_variants(marker: str) -> Iterator[Variant]:
    whole = SPEC.encode()
    yield "whole", whole
    yield from ((name, text.encode("utf-8", "surrogatepass")) for name, text in STRANGE_YAML.items())
    for number, tag in enumerate(TAGS):
        tagged = tag.replace("MARKER", marker)
        yield f"tag {number} as the whole", tagged.encode()
        yield f"tag {number} as a value", whole.replace(b"real: digits", f"real: {tagged}".encode())
    yield from ((f"{encoding}", SPEC.encode(encoding)) for encoding in ("utf-16", "utf-32", "utf-7", "cp037"))
    yield "bytes that are no text", whole + b"\xff\xfe\x80"
    yield from foreign(marker)
    yield from truncated(whole, 20)
    yield from flipped(whole, 40)
    yield from stirred(whole, 20)
    yield from other_values()


def other_values() -> Iterator[Variant]:
    """Yield the spec with one value replaced by something else."""
    draw = random.Random(1)
    words = [
        "digits",
        "sngan",
        "fidelity",
        "provider",
        "30",
        "[70, 130]",
        "[0, 1]",
        "300",
        "{kind: sngan, width: 8}",
    ]
    values = [
        "~",
        "-1",
        "0",
        "1.5",
        ".nan",
        ".inf",
        "[]",
        "{}",
        "true",
        "x" * 300,
        "[[[]]]",
        "{a: {b: {c: 1}}}",
        "'1'",
        "2024-01-01",
    ]
    values += [
        str(10**30),
        "../../etc/passwd",
        "sngam",
        "{train: {train: {}}}",
        "[{kind: fidelity}]",
        *RAW[:6],
    ]
    for word in words:
        for value in draw.sample(values, 8):
            yield f"{word} is {value[:30]}", SPEC.replace(word, value, 1).encode()


def changes(marker: str) -> Iterator[tuple[str, str]]:
    """Yield values for `--set`."""
    yield from ((f"tag {number}", f"real={tag.replace('MARKER', marker)}") for number, tag in enumerate(TAGS))
    yield from ((name, f"real={text}") for name, text in STRANGE_YAML.items())
    paths = (
        "",
        "=",
        "real",
        ".",
        "a..b=1",
        "=3",
        "seeds.99=1",
        "seeds.-9=1",
        "seeds.x=1",
        "seeds." + "9" * 5000 + "=1",
    )
    yield from ((f"path {number}", path) for number, path in enumerate(paths))
    more = (
        "a." * 5000 + "b=1",
        "a." * 20 + "b=1",
        "x" * 10_000 + "=1",
        "real.kind.deep=1",
        "attacks.0.0=1",
        "re\nal=1",
        "\0=1",
    )
    yield from ((f"a further path {number}", path) for number, path in enumerate(more))


def factories() -> Iterator[tuple[str, str]]:
    """Yield names of Python factories."""
    names = [
        "",
        ":",
        "a",
        "a:",
        ":a",
        "..:x",
        ".:make",
        "a b:c",
        "a\0b:c",
        "os:system:x",
        "os:nothing",
        "math:pi",
        "é:ü",
        "a/b:c",
    ]
    names += [
        "x" * 5000 + ":y",
        "a." * 400 + "a:b",
        "no_such_module:make",
        "json:loads",
        "os:getcwd",
        "1:2",
        "\ud800:x",
        "a\nb:c",
    ]
    yield from ((repr(name[:40]), name) for name in names)
