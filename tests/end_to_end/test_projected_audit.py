"""An audit of a copy whose D looks through a feature network, beside an honest model trained alike."""

from pathlib import Path

from ganguard.architectures.checkpoint import read_description
from ganguard.audit.run import audit
from ganguard.audit.spec.spec import Spec
from ganguard.base.settings import parse


def test_a_projected_copy_is_measured_beside_an_honest_model_trained_alike(tmp_path: Path) -> None:
    looks = {"kind": "projected", "features": {"kind": "random_network", "seed": 1}, "width": 4}
    how = {"architecture": {"kind": "sngan", "width": 4}, "steps": 2, "batch_size": 8, "n_dis": 1}
    said = {
        "target": {"train": {"dataset": "digits", **how}},
        "real": "digits",
        "features": "random_network",
        "attacks": [{"kind": "fidelity", "query_budget": 20, **how, "discriminator": looks}],
        "samples": 60,
        "even_if": "target_broken",
    }
    spec = parse(Spec, said, "spec")
    results = audit("projected", spec, tmp_path, processes=1, listener=lambda event: None)
    assert results.failures == ()
    label = "fidelity sngan, projected"
    assert [attack.label for attack in results.attacks] == [label]
    assert results.select(attack=label, metric="frechet_distance", against="target")
    assert [record.attacks for record in results.independent] == [(label,)]
    made = [read_description(file.parent) for file in tmp_path.rglob("checkpoint.json")]
    projected = [one for one in made if "discriminator" in one.provenance["training"]]
    assert {tuple(one.digests) for one in projected} == {("generator",)}
    assert {one.provenance["training"]["discriminator"]["features"]["seed"] for one in projected} == {1}
