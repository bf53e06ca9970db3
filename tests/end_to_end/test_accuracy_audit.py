"""An audit with adversaries that hold real images: every part runs, and R4 and R5 are asked."""

import json
import sys
from pathlib import Path

import pytest
from doctored import NETWORK, run

from ganguard.attacks.subsampling import metropolis_hastings
from ganguard.base.errors import DataError, TargetError
from ganguard.report.tables import distance_table
from ganguard.results.records import AuditResults, read_results

REAL = {**NETWORK, "query_budget": 60, "real_fraction": 0.05, "real_steps": 4, "judge_every": 2}
ATTACKS = [
    {"kind": "fidelity", "query_budget": 60, **NETWORK},
    {"kind": "accuracy_partial_black_box", **REAL},
    {"kind": "accuracy_white_box", **REAL, "refining": {"steps": 20, "ratio": "logistic"}},
]
PARTIAL, WHITE = "accuracy partial black box dcgan, 5 % real", "accuracy white box dcgan, 5 % real"
BLACK_BOX = """
import torch
from torch import nn

def make():
    torch.manual_seed(0)
    G = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Unflatten(1, (1, 8, 8)))
    G.latent_dim = 4
    return G
"""


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("accuracy") / "audit"
    run(directory, attacks=ATTACKS, seeds=[0, 1], features={"kind": "classifier", "steps": 20})
    return directory


@pytest.fixture(scope="module")
def results(audited: Path) -> AuditResults:
    return read_results(audited)


def test_each_attack_is_measured_under_each_seed(results: AuditResults) -> None:
    assert results.failures == ()
    measured = {(m.attack, m.seed) for m in results.select(subject="substitute", metric="frechet_distance")}
    assert measured == {(label, seed) for label in ("fidelity dcgan", PARTIAL, WHITE) for seed in (0, 1)}


def test_all_attacks_of_a_seed_share_one_purchase(results: AuditResults) -> None:
    assert [a.bought for a in results.accounts if a.role == "adversary"] == [60, 60]
    assert {use.used for use in results.used} == {60}


def test_accuracy_is_measured_to_held_out_images_and_to_those_of_the_training(results: AuditResults) -> None:
    both = [results.select(metric="frechet_distance", against=split) for split in ("reference", "train")]
    held_out, trained = (
        {(m.subject, m.attack, m.seed, m.draw, m.recipe): m for m in found} for found in both
    )
    copies = {"target", "noise", "substitute", "independent", "purchase", "refined", "plain"}
    assert {subject for subject, *_ in trained} == copies
    assert trained.keys() == {key for key in held_out if key[0] in copies}
    assert {m.compared for m in trained.values()} == {results.real_images["train"]}
    assert {m.compared for m in held_out.values() if m.subject == "target"} == {
        results.real_images["reference"]
    }
    columns, groups = distance_table(results)
    place = columns.index("to training images")
    assert all(row.cells[place] for group in groups for row in group.rows)


def test_what_just_keeping_the_real_images_gives_is_shown(results: AuditResults) -> None:
    known = results.select(subject="known", metric="frechet_distance", against="reference")
    assert [(m.attack, m.seed, m.images) for m in known] == [
        ("5 % of the real training images", s, 63) for s in (0, 1)
    ]


def test_whether_a_copy_replays_its_real_images_is_measured(results: AuditResults) -> None:
    found = results.select(against="known", metric="authenticity")
    assert {(m.attack, m.seed, m.compared) for m in found} == {
        (label, s, 44) for label in (PARTIAL, WHITE) for s in (0, 1)
    }


def test_refined_sets_are_measured_beside_plain_algorithm_1(results: AuditResults) -> None:
    for subject in ("refined", "plain"):
        found = results.select(subject=subject, metric="frechet_distance", against="reference")
        assert [(m.attack, m.query_budget, m.seed, m.images) for m in found] == [
            (WHITE, 60, s, 60) for s in (0, 1)
        ]


def test_relations_4_and_5_get_a_verdict(results: AuditResults) -> None:
    found = {v.relation: v.statement for v in results.verdicts if v.relation in ("R4", "R5")}
    assert found == {
        "R4": f"accuracy distance of {PARTIAL} / of fidelity dcgan at 60 queries is below 1",
        "R5": f"accuracy distance of {WHITE} / of {PARTIAL} at 60 queries is below 1",
    }


def test_the_report_says_all_of_it(audited: Path) -> None:
    page = (audited / "report.html").read_text()
    for text in (
        PARTIAL,
        WHITE,
        "the real images that the adversary holds",
        "what Algorithm 1 alone would keep",
    ):
        assert text in page
    names = {path.name for path in (audited / "checkpoints").iterdir()}
    assert "accuracy-white-box-dcgan-5-percent-real-60-seed0" in names


def test_what_the_adversary_chose_by_is_kept(audited: Path) -> None:
    chosen = [json.loads(path.read_text()) for path in audited.glob("steps/substitute-*/refinement.json")]
    assert len(chosen) == 2
    assert all(len(said["tried"]) == 5 and said["plain"]["kind"] == "logistic" for said in chosen)
    assert len(list(audited.glob("steps/substitute-*/judged.json"))) == 4
    assert list(audited.glob("steps/substitute-*/generated")) == []


def test_what_refining_did_is_reported(audited: Path, results: AuditResults) -> None:
    assert [(r.attack, r.query_budget, r.seed) for r in results.refinements] == [
        (WHITE, 60, s) for s in (0, 1)
    ]
    for record in results.refinements:
        assert record.best.score == min(tried.score for tried in record.tried)
        assert sum(record.log_ratios.before) == sum(record.log_ratios.after) == 60
        assert record.classes is not None and len(record.classes.before) == 10
        assert sum(record.classes.before) == sum(record.classes.after) == 60
        assert (record.ratio.kind, record.plain.kind) == ("logistic", "logistic")
    (kept,) = (p for p in results.pictures if p.subject == "kept")
    assert (audited / kept.file).is_file() and kept.seed == 0
    page = (audited / "report.html").read_text()
    assert all(
        text in page
        for text in ("Did refining help?", "the judge chose", "Reliability of the ratio", "Class balance")
    )


def test_the_adversarys_real_images_are_of_the_train_split(audited: Path) -> None:
    from safetensors.torch import load_file

    real = load_file(next(audited.glob("steps/real-*/real.safetensors")))
    train = {image.numpy().tobytes() for image in real["images"][real["train"]]}
    for path in audited.glob("steps/known-*/known.safetensors"):
        known = load_file(path)
        assert (len(known["own"]), len(known["judged"])) == (44, 19)
        assert all(image.numpy().tobytes() in train for part in ("own", "judged") for image in known[part])


def test_a_white_box_attack_on_a_black_box_buys_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "black_box_factory.py").write_text(BLACK_BOX)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(TargetError, match="accuracy_white_box needs the target's discriminator"):
        run(tmp_path / "audit", target={"python": "black_box_factory:make"}, attacks=ATTACKS)
    assert not (tmp_path / "audit" / "purchases").exists()


def test_too_few_real_images_are_refused_before_the_target_is_trained(tmp_path: Path) -> None:
    few = [{**ATTACKS[1], "real_fraction": 0.001}]
    with pytest.raises(
        DataError, match=r"real_fraction 0.001 of 1258 training images is 1; an adversary needs at least 6"
    ):
        run(tmp_path / "audit", attacks=few)
    assert list((tmp_path / "audit" / "steps").glob("train_target-*")) == []


@pytest.mark.slow
def test_all_real_images_fit_and_judge_where_a_spec_says_crossed(tmp_path: Path) -> None:
    refining = {"steps": 20, "ratio": "logistic", "fitting": "crossed"}
    run(tmp_path / "audit", attacks=[{**ATTACKS[2], "refining": refining}])
    (record,) = read_results(tmp_path / "audit").refinements
    assert (record.ratio.real, record.ratio.fake) == (44, 60)  # all of them, where split shows halves
    assert (record.plain.real, record.plain.fake) == (22, 22)
    assert sum(record.log_ratios.after) == 60


@pytest.mark.slow
def test_chains_that_are_stuck_fail_their_copy_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[metropolis_hastings.__module__], "_wanted", lambda missing, kept, started: 0
    )
    run(tmp_path / "audit", attacks=[ATTACKS[0], {**ATTACKS[2], "refining": {"steps": 1, "powers": [1.0]}}])
    results = read_results(tmp_path / "audit")
    assert {m.attack for m in results.select(subject="substitute")} == {"fidelity dcgan"}
    (failure,) = results.failures
    assert failure.attack == WHITE
    assert failure.reason.startswith("all chains stuck: of 0 chains")
