"""Audits of targets that differ only in their seed: the unit is the target, and a placebo is the floor."""

from pathlib import Path
from typing import Any

import pytest

from ganguard.audit.doctor import examine
from ganguard.audit.run import audit
from ganguard.audit.several import planned_audits, run_several
from ganguard.audit.spec.spec import Spec
from ganguard.audit.spec.target import TrainTarget
from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse
from ganguard.comparison.embedding import load_embedding
from ganguard.metrics import frechet_distance
from ganguard.queries.store import Store

TRAINED = {"architecture": {"kind": "sngan", "width": 8}, "steps": 6, "batch_size": 16, "n_dis": 1}
SPEC: dict[str, Any] = {
    "target": {"train": {"dataset": "digits", **TRAINED, "seed": 9}},
    "target_seeds": [4, 7],
    "real": "digits",
    "features": "random_network",
    "attacks": [{"kind": "fidelity", "query_budget": 40, **TRAINED}],
    "samples": 100,
    "even_if": "target_broken",
}


def _spec(**changes: object) -> Spec:
    return parse(Spec, {**SPEC, **changes}, "spec")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target_seeds": [4]}, "two or more distinct"),
        ({"target_seeds": [4, 4]}, "two or more distinct"),
        (
            {"target": {"checkpoint": "there"}},
            "target_seeds trains targets, and this one exists already",
        ),
    ],
)
def test_seeds_of_no_targets_are_refused_in_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said) as raised:
        _spec(**changes)
    assert "\n" not in str(raised.value)


def test_audits_of_other_targets_are_not_laid_side_by_side(tmp_path: Path) -> None:
    """What is compared is paired by target: seeds of purchases, or other targets, are no pairs."""
    for other in ({"target_seeds": ()}, {"target_seeds": [7, 8]}):
        specs = {"one": ("one.yaml", _spec()), "other": ("other.yaml", _spec(**other))}
        with pytest.raises(SpecError, match="must have the same target_seeds, or none"):
            run_several("both", specs, tmp_path, processes=1, listener=lambda event: None)
        assert list(tmp_path.iterdir()) == []


def test_no_audit_takes_the_place_of_another() -> None:
    specs = {"one": ("one.yaml", _spec()), "one-target-seed-4": ("two.yaml", _spec(target_seeds=()))}
    with pytest.raises(SpecError, match="Rename the latter"):
        planned_audits(specs)


def test_images_that_were_bought_before_are_of_one_target() -> None:
    with pytest.raises(SpecError, match="target_seeds and purchase exclude each other"):
        _spec(purchase={"images": "digits"})


def test_each_target_has_the_spec_with_its_seed_and_old_specs_are_written_as_before(tmp_path: Path) -> None:
    spec = _spec()
    assert parse(Spec, spec.model_dump(mode="json"), "spec") == spec
    planned = planned_audits({"mine": ("here", spec)})
    assert list(planned) == ["mine-target-seed-4", "mine-target-seed-7"]
    for one, seed in zip(planned.values(), (4, 7), strict=True):
        assert isinstance(one.spec.target, TrainTarget)
        assert (one.spec.target.seed, one.target) == (seed, ("mine", seed))
        assert "target_seeds" not in one.spec.model_dump(mode="json")
        alone = _spec(target={"train": {**SPEC["target"]["train"], "seed": seed}}, target_seeds=[])
        assert one.spec == alone
    with pytest.raises(SpecError, match="run_several"):
        audit("mine", spec, tmp_path, listener=lambda event: None)


@pytest.mark.slow
def test_targets_are_trained_and_audited_one_by_one_and_honest_models_once(tmp_path: Path) -> None:
    trained: list[str] = []
    specs = {"mine": ("here", _spec())}
    together, found = run_several(
        "mine",
        specs,
        tmp_path,
        processes=1,
        listener=lambda event: trained.append(event.step) if event.what == "ends" else None,
    )
    assert trained.count("target") == 2
    assert trained.count("independent sngan, seed 0") == 1
    assert len({results.target.identity for results in found.values()}) == 2
    assert (together.unit, together.question) == ("targets", "targets")
    (placebo,) = together.placebos
    assert placebo.distance == pytest.approx(_apart(tmp_path, placebo.one, placebo.other))
    assert [finding for finding in examine(tmp_path) if finding.severity == "wrong"] == []


def _apart(directory: Path, *names: str) -> float:
    """Return the mean distance of what the auditor bought from two targets, by the features of the first."""
    embed = load_embedding(directory / names[0] / "features", Compute())
    bought = [sorted((directory / name / "purchases").glob("*-auditor-?")) for name in names]
    pairs = [[embed(Store.open(store).read(100)) for store in both] for both in zip(*bought, strict=True)]
    return sum(frechet_distance(*pair) for pair in pairs) / len(pairs)
