"""The audit that ships, on real digits: what its numbers must show. Minutes, so that only CI and the curious
run it."""

import pytest

from ganguard.audit.run import audit
from ganguard.audit.spec.reading import read_spec
from ganguard.results.records import AuditResults
from ganguard.results.summaries import summarise

pytestmark = pytest.mark.slow  # all in one process, which makes the audit that they read


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> AuditResults:
    name, spec = read_spec("digits", ["seeds=[0, 1]"])
    return audit(name, spec, tmp_path_factory.mktemp("digits"), listener=lambda event: None)


def distance(results: AuditResults, **wanted: object) -> float:
    summary = summarise(results.select(metric="frechet_distance", **wanted))
    assert summary is not None
    return summary.mean


def test_the_target_is_far_nearer_to_real_digits_than_noise_is(results: AuditResults) -> None:
    target = distance(results, subject="target", against="reference")
    assert target <= distance(results, subject="noise", against="reference") / 50


def test_fidelity_falls_with_the_budget(results: AuditResults) -> None:
    for attack in results.attacks:
        by_budget = [
            distance(results, attack=attack.label, query_budget=b, against="target")
            for b in (200, 1000, 5000)
        ]
        assert by_budget == sorted(by_budget, reverse=True)


def test_a_copy_from_5000_images_is_near_the_floor_and_far_from_one_of_200(results: AuditResults) -> None:
    few, many = (
        distance(results, attack="fidelity sngan", query_budget=b, against="target") for b in (200, 5000)
    )
    assert many < few / 6  # README has the spread, and what the purchase itself has to do with it
    assert many <= 5 * distance(results, subject="target", against="target")


def test_a_model_that_never_saw_the_target_is_nearer_than_copies_of_few_images(results: AuditResults) -> None:
    """So that a small distance alone proves no theft."""
    honest = distance(results, subject="independent", against="target")
    few = distance(results, attack="fidelity sngan", query_budget=200, against="target")
    assert distance(results, subject="target", against="target") < honest < few


def test_the_bought_images_themselves_nearly_are_the_target(results: AuditResults) -> None:
    bought = distance(results, subject="purchase", query_budget=5000, against="target")
    assert bought < distance(results, attack="fidelity sngan", query_budget=5000, against="target")


def test_fidelity_is_below_accuracy(results: AuditResults) -> None:
    for attack in results.attacks:
        row = {"attack": attack.label, "query_budget": 5000}
        assert distance(results, **row, against="target") < distance(results, **row, against="reference")


def test_the_feature_network_knows_digits(results: AuditResults) -> None:
    assert results.features.held_out_accuracy is not None
    assert results.features.held_out_accuracy > 0.98
