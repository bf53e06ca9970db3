"""An audit whose adversaries go on with copies: they move them to another domain, or bring one that exists
already."""

from pathlib import Path

import pytest
from doctored import NETWORK, run

from ganguard.architectures.checkpoint import load_checkpoint
from ganguard.base.errors import DataError, SpecError
from ganguard.results.records import AuditResults, read_results

HALF = {"kind": "digits", "classes": [0, 1, 2, 3, 4]}
OTHER = {"kind": "digits", "classes": [5, 6, 7, 8, 9]}
TARGET = {"train": {"dataset": HALF, **NETWORK}}
FIDELITY = {"kind": "fidelity", "query_budget": 40, **NETWORK}
TRANSFER = {
    "kind": "transfer",
    "query_budget": 40,
    **NETWORK,
    "domain": OTHER,
    "domain_images": [20, None],
    "method": ["fine_tune", "freeze_d", "scratch"],
    "transfer_steps": 4,
}
METHODS = ("fine-tuned", "FreezeD", "from scratch")


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("transfer") / "audit"
    run(directory, target=TARGET, real=HALF, attacks=[FIDELITY, TRANSFER])
    return directory


@pytest.fixture(scope="module")
def results(audited: Path) -> AuditResults:
    return read_results(audited)


def test_each_moved_copy_is_measured_in_the_other_domain_alone(results: AuditResults) -> None:
    assert results.failures == ()
    found = results.select(subject="substitute", metric="frechet_distance", draw=0)
    moved = {f"transfer dcgan {method}, {count} images" for method in METHODS for count in (20, "all")}
    assert {m.attack for m in found if m.against == "domain"} == moved
    assert {m.attack for m in found if m.against != "domain"} == {"fidelity dcgan"}
    floors = results.select(against="domain", metric="frechet_distance")
    assert {m.subject for m in floors} == {"substitute", "train", "real"}


def test_the_copy_that_is_moved_is_the_one_that_was_stolen(audited: Path, results: AuditResults) -> None:
    assert [a.bought for a in results.accounts if a.role == "adversary"] == [40]
    used = {use.attack: use.used for use in results.used}
    assert all(count == (0 if "from scratch" in attack else 40) for attack, count in used.items())
    trained = sorted(path.name for path in (audited / "checkpoints").iterdir())
    assert len(trained) == 1 + 1 + 6
    digests = [load_checkpoint(audited / "checkpoints" / name).digest() for name in trained]
    assert len(set(digests)) == len(digests)


def test_whether_a_moved_copy_replays_its_few_images_is_measured(results: AuditResults) -> None:
    label = "transfer dcgan fine-tuned, 20 images"
    found = results.select(attack=label, against="known", metric="authenticity")
    assert [m.compared for m in found] == [20]


def test_relation_6_gets_a_verdict_for_each_number_of_images(results: AuditResults) -> None:
    said = [v.statement for v in results.verdicts if v.relation == "R6"]
    assert len(said) == 4
    assert said[0] == (
        "distance to the other domain of transfer dcgan fine-tuned, 20 images / of transfer dcgan from "
        "scratch, 20 images at 40 queries is below 1"
    )


def test_the_report_shows_transfers(audited: Path) -> None:
    page = (audited / "report.html").read_text()
    for text in ("Transfer: distance to the other domain", "transfer dcgan FreezeD, 20 images", "R6"):
        assert text in page


def test_a_copy_that_exists_already_is_graded_and_nothing_is_bought(audited: Path, tmp_path: Path) -> None:
    (copy,) = (audited / "checkpoints").glob("fidelity-*")
    given = {"substitute": {"checkpoint": str(copy)}, "query_budget": 40}
    run(tmp_path / "audit", target=TARGET, real=HALF, attacks=[given], seeds=[0, 1])
    results = read_results(tmp_path / "audit")
    assert not [a for a in results.accounts if a.role == "adversary"]
    found = results.select(subject="substitute", metric="frechet_distance", against="target", draw=0)
    of_audit = read_results(audited).select(
        attack="fidelity dcgan", metric="frechet_distance", against="target", draw=0
    )
    assert [(m.attack, m.value) for m in found] == [(f"given copy {copy.name}", of_audit[0].value)]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"domain_images": 5000},
            DataError,
            "domain_images must be at most the training images of the domain",
        ),
        ({"domain": "photo_patches"}, DataError, "those of the domain are"),
        ({"method": "fine_tun"}, SpecError, "method"),
    ],
)
def test_a_domain_that_does_not_fit_is_refused_before_the_target_is_trained(
    tmp_path: Path, changes: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(tmp_path / "audit", target=TARGET, real=HALF, attacks=[{**TRANSFER, **changes}])
    assert list((tmp_path / "audit").glob("steps/train_target-*")) == []
