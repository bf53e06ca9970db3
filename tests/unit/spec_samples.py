"""The smallest spec of an audit."""

SMALL = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": [20, 10]}],
}

OF_CLASSES = {"train": {"dataset": "digits", "architecture": {"kind": "sngan", "classes": 10}, "steps": 10}}
