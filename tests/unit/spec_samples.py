"""The smallest spec of an audit."""

SMALL = {
    "target": {"train": {"dataset": "digits", "architecture": "sngan", "steps": 10}},
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "architecture": "sngan", "query_budget": [20, 10]}],
}
