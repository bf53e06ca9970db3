"""Results of an audit, damaged by hand: impossible values, grids that are no pictures, files that are no
JSON."""

import json
from collections.abc import Iterator
from typing import Any

from malformed_images import bomb, encoded, header, png, sample
from malformed_mutations import Variant, flipped, foreign, json_texts, json_variants, truncated

Files = dict[str, bytes]
GRID = "grids/target.png"


def measured(**values: Any) -> dict[str, Any]:
    row = {"subject": "substitute", "attack": "fidelity sngan", "query_budget": 70, "seed": 0, "draw": 0}
    row |= {"metric": "frechet_distance", "against": "target", "value": 2.5, "images": 100, "compared": 90}
    return row | values


def results() -> dict[str, Any]:
    """Return the smallest results.json that has every part."""
    floor = {"attack": None, "query_budget": None, "seed": None}
    return {
        "format": 1,
        "name": "tiny",
        "spec": {"target": {"train": {"steps": 30, "betas": [0.5, 0.9]}}, "seeds": [0, 1]},
        "environment": {"ganguard": "0", "python": "3", "torch": "2", "numpy": "2", "platform": "p",
                        "processor": "c", "cores": 2, "device": "cpu", "threads": 1, "processes": 2},
        "target": {"description": "d", "identity": "i", "image_shape": [1, 8, 8], "codes": "provider"},
        "real": "digits",
        "real_images": {"train": 7, "reference": 3},
        "features": {"kind": "classifier", "dimensions": 64, "held_out_accuracy": 0.9},
        "attacks": [{"label": "fidelity sngan", "kind": "fidelity", "architecture": "sngan",
                     "query_budgets": [70, 130], "settings": {"steps": 3}}],
        "measurements": [
            measured(), measured(seed=1, value=3.5), measured(query_budget=130, value=1.5),
            measured(against="reference", value=7.0), measured(metric="precision", value=0.5),
            measured(subject="target", value=0.1, **floor),
            measured(subject="noise", against="reference", value=70.0, **floor),
        ],
        "failures": [{"attack": "fidelity sngan", "query_budget": 130, "seed": 1, "step": "s",
                      "reason": "r"}],
        "verdicts": [{"relation": "R1", "statement": "s", "outcome": "holds", "reason": "r", "seeds": 2,
                      "ratio": 0.5, "low": 0.25, "high": 0.75}],
        "accounts": [{"account": "a", "role": "adversary", "seed": 0, "bought": 130}],
        "used": [{"attack": "fidelity sngan", "query_budget": 70, "seed": 0, "used": 70}],
        "steps": [{"name": "target", "kind": "train_target", "seconds": 1.5}],
        "pictures": [{"subject": "target", "file": GRID, "columns": 8, "tile": [8, 8]},
                     {"subject": "substitute", "attack": "fidelity sngan", "query_budget": 70, "seed": 0,
                      "file": GRID, "columns": 8, "tile": [8, 8]}],
    }  # fmt: skip


def whole() -> Files:
    return {"results.json": json.dumps(results()).encode(), GRID: encoded(sample("L", 20), "PNG")}


def results_variants(marker: str) -> Iterator[tuple[str, Files]]:
    said = results()
    yield "whole", whole()
    text = json.dumps(said).encode()
    damage = [
        *json_variants(said, 240),
        *json_texts(said),
        *truncated(text, 15),
        *flipped(text, 30),
        *foreign(marker),
    ]
    damage += [(name, json.dumps(said | new).encode()) for name, new in _strange().items()]
    for name, content in damage:
        yield name, {**whole(), "results.json": content}
    for name, content in _pictures(marker):
        yield f"{GRID} {name}", {**whole(), GRID: content}
    yield "without its picture", {"results.json": text}


def _strange() -> dict[str, dict[str, Any]]:
    """Return changed parts of results.json that no change of a single value gives."""
    one = {"measurements": [measured()]}
    values = {
        f"distances {low} and {high}": {"measurements": [measured(value=low), measured(seed=1, value=high)]}
        for low, high in (
            (1e-100, 1e100),
            (0, 1e100),
            (1e-320, 1e300),
            (1e-99, 1e-99),
            (-1, 1),
            (1e154, 1e155),
        )
    }
    values |= {
        f"budgets 1 and {b}": {"measurements": [measured(query_budget=1), measured(query_budget=b)]}
        for b in (2**62, 2**63)
    }
    values |= {f"a seed of {seed}": {"measurements": [measured(seed=seed)]} for seed in (2**62, -1, 10**400)}
    for ratio in (0.0, 5e-324, 1.7e308, -1.0):
        verdict = results()["verdicts"][0] | {"ratio": ratio, "low": ratio, "high": ratio}
        values[f"a ratio of {ratio}"] = {"verdicts": [verdict]}
    for file in (
        "/etc/hostname",
        "../../../etc/hostname",
        "grids/../../x.png",
        "",
        ".",
        "a\0b",
        "x" * 5000,
        "grids",
        "grids/",
    ):
        values[f"a picture in {file[:30]!r}"] = {"pictures": [results()["pictures"][0] | {"file": file}]}
    for subject in ("train", "real", "noise", "purchase", "substitute"):
        values[f"a picture of {subject}"] = {"pictures": [results()["pictures"][1] | {"subject": subject}]}
    for metric in ("precision", "no_such_metric", ""):
        values[f"only {metric!r}"] = {"measurements": [measured(metric=metric)]}
    for seconds in (1e10, 1e11, -1.0, 0.0):
        values[f"{seconds} seconds"] = {"steps": [{"name": "s", "kind": "k", "seconds": seconds}]}
    bought = [
        measured(subject="purchase", attack=None),
        measured(subject="purchase", attack=None, metric="precision", query_budget=9),
    ]
    return values | {
        "a hundred thousand wrong records": {"measurements": [{}] * 100_000},
        "nothing measured": {"measurements": []},
        "one number": one,
        "nothing planned": {**one, "attacks": [], "spec": {}},
        "no budgets": {"attacks": [results()["attacks"][0] | {"query_budgets": []}]},
        "two attacks of one label": {"attacks": results()["attacks"] * 2},
        "markup in labels": {
            "measurements": [measured(attack="</svg><script>x</script>")],
            "name": "{{ 7 * 7 }}<b>",
        },
        "a label of a thousand signs": {"measurements": [measured(attack="x" * 1000)]},
        "an empty label": {"measurements": [measured(attack="")]},
        "no attack": {"measurements": [measured(attack=None)]},
        "no budget": {"measurements": [measured(query_budget=None)]},
        "no seed": {"measurements": [measured(seed=None)]},
        "all the same": {"measurements": [measured()] * 50},
        "many labels": {"measurements": [measured(attack=f"a{i}") for i in range(30)]},
        "a large tile": {"pictures": [results()["pictures"][0] | {"tile": [2**60, 2**60], "columns": 2**60}]},
        "a spec that nests deep": {"spec": _deep(200)},
        "a spec that nests as deep as may be": {"spec": _deep(31)},
        "purchases of two metrics at two budgets": {"measurements": [measured(), *bought]},
    }


def _deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def _pictures(marker: str) -> Iterator[Variant]:
    sound = encoded(sample("L", 20), "PNG")
    yield from foreign(marker)
    yield from truncated(sound, 5)
    for width, height in ((0, 0), (0, 9), (2**31 - 1, 9), (2**32 - 1, 2**32 - 1)):
        yield f"of {width}x{height}", png([header(width, height), (b"IDAT", bomb(1)), (b"IEND", b"")])
