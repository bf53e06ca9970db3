"""The pictures that put attacks beside each other: accuracy, and transfer."""

import re

import pytest
from report_samples import make_results, measured_copies, measured_floors

from ganguard.report.dots import dots
from ganguard.results.records import AuditResults, Measurement

LABEL = "fidelity sngan"


def known(value: float, fraction: str = "10 % of the real training images") -> Measurement:
    return Measurement(
        subject="known",
        attack=fraction,
        seed=0,
        metric="frechet_distance",
        against="reference",
        value=value,
        images=9,
        compared=9,
    )


def with_measurements(*extra: Measurement) -> AuditResults:
    copies = measured_copies(LABEL, range(2), 2, (200, 1000))
    return make_results((LABEL,), measurements=(*copies, *measured_floors(), *extra))


def moved(label: str, value: float, seed: int = 0) -> Measurement:
    whose = {
        "subject": "substitute",
        "attack": label,
        "query_budget": 200,
        "seed": seed,
        "images": 9,
        "compared": 9,
    }
    return Measurement(**whose, metric="frechet_distance", against="domain", value=value)


def test_audits_of_fidelity_alone_have_none_of_them() -> None:
    assert dots(with_measurements()) == ()


def test_accuracy_is_shown_with_the_real_images_that_the_adversary_holds() -> None:
    (picture,) = dots(with_measurements(known(5.0)))
    assert [key.label for key in picture.keys] == ["query budget 200", "query budget 1,000"]
    assert picture.rulers == ("target to real images: 3.60",)
    wide, narrow = picture.svgs
    for svg, name in ((wide, "reference-wide"), (narrow, "reference-narrow")):
        assert f'id="{name}-title"' in svg
        assert LABEL in svg and "10 % of the real training images" in svg
        assert re.search("from 200 images", svg)
    ids = re.findall(r'\bid="([^"]+)"', wide + narrow)
    assert len(ids) == len(set(ids))


def test_transfers_are_shown_by_their_distance_to_the_other_domain() -> None:
    labels = [f"transfer sngan {method}, 50 images" for method in ("fine-tuned", "from scratch")]
    rows = [moved(label, 3.0 + i + s, seed=s) for i, label in enumerate(labels) for s in (0, 1)]
    (picture,) = dots(with_measurements(*rows))
    assert picture.heading == "Transfer to another domain"
    assert all(label in svg for label in labels for svg in picture.svgs)
    assert LABEL not in picture.svgs[0]


@pytest.mark.parametrize("value", [0.0, 1e-90, 1e90])
def test_any_distance_is_drawn_or_left_out(value: float) -> None:
    (picture,) = dots(with_measurements(known(value)))
    assert ("10 % of the real training images" in picture.svgs[0]) == (value > 0)


def test_where_all_distances_are_zero_there_is_no_picture() -> None:
    assert dots(make_results((), measurements=(known(0.0),))) == ()
