"""The report's words on what the feature network sees, and on copies as damage."""

from typing import Any

import pytest
from report_samples import make_results, minimal

from ganguard.report.eyesight import axis_marks, blindness, eyesight_section
from ganguard.report.html import facts
from ganguard.report.plots import NARROW, WIDE, quality_picture
from ganguard.results.eyesight import DAMAGES, Rung
from ganguard.results.feature_record import FeatureRecord
from ganguard.results.records import AuditResults

SIDE = 8


def ladder(unseen: tuple[str, ...] = (), scale: float = 1.0) -> tuple[Rung, ...]:
    """Return a rung for each damage and level; distances grow by the level's place, unless it is unseen."""
    found: list[Rung] = []
    for damage in DAMAGES.values():
        for place, level in enumerate(damage.levels(SIDE), 1):
            values: dict[str, Any] = {
                "damage": damage.name,
                "level": level,
                "unit": damage.unit,
                "plain": level in damage.plain(SIDE),
                "distance": 0.06 if damage.name in unseen else scale * 4.0**place,
                "spread": 0.01,
                "floor": 0.06,
                "floor_spread": 0.01,
                "kernel": 0.0,
                "kernel_floor": 0.0,
                "images": 1000,
            }
            found.append(Rung(**values))
    return tuple(found)


def sees(unseen: tuple[str, ...] = ()) -> AuditResults:
    return make_results(seeds=3, eyesight=ladder(unseen))


def test_each_copy_is_read_as_damage() -> None:
    section = eyesight_section(sees())
    said = {(row.heading, row.cells[0]): row.cells[2:] for row in section.copies}
    assert len(said) == 6
    reads, nearest = said["fidelity sngan", "5,000"]  # FD 1.31, below the mildest blur of 4
    assert reads == "less than blur of σ = 0.5 pixels"
    assert nearest in {rung.words for rung in ladder()}
    reads, _ = said["fidelity sngan", "200"]  # 36.2, between the blurs of 16 and 64
    assert reads.startswith("like blur of σ = 1.")
    assert section.verdict == section.unseen == ""


def test_a_network_that_does_not_see_what_everybody_sees_is_no_judge() -> None:
    results = sees(("resolution", "jpeg"))
    section = eyesight_section(results)
    assert section.verdict.startswith("This feature network (classifier) cannot judge these images")
    assert "a resolution 2 times lower and a resolution 4 times lower" in section.verdict
    assert "JPEG" not in section.verdict
    assert "JPEG of quality 90" in section.unseen
    cells = next(row.cells for row in section.rows if row.heading.startswith("JPEG"))
    assert all("(not seen)" in cell for cell in cells)


@pytest.mark.parametrize("unseen", [("jpeg",), ("noise", "tint", "modes"), ()])
def test_what_only_measures_tell_makes_it_no_worse_a_judge(unseen: tuple[str, ...]) -> None:
    assert blindness(sees(unseen)) == ""


def test_results_without_a_ladder_say_nothing_of_it() -> None:
    section = eyesight_section(make_results())
    assert (section.rows, section.copies, section.verdict, section.alike) == ((), (), "", {})
    assert axis_marks(make_results()) == []


@pytest.mark.parametrize("shape", [WIDE, NARROW])
def test_the_axis_of_distances_has_the_levels_of_blur_beside_it(shape: Any) -> None:
    picture = quality_picture(sees(), shape, "title", "description")
    for sigma in ("0.5", "1", "2", "4"):
        assert f"blur {sigma} px" in picture
    assert "blur" not in quality_picture(sees(("blur",)), shape, "title", "description")


def test_marks_stand_where_a_copy_as_far_would() -> None:
    """The ladder is of 1,000 images; copies may be of more, whose floor is lower."""
    marks = dict(axis_marks(sees()))
    floor = 0.0612
    assert marks["blur 1 px"] == pytest.approx(16 - 0.06 + floor, abs=1e-3)


def test_levels_beyond_the_picture_are_left_out_and_stretch_no_axis() -> None:
    far = make_results(eyesight=ladder(scale=1e6))
    assert "blur" not in quality_picture(far, WIDE, "title", "description")
    assert dict(axis_marks(far))


def test_what_to_know_of_the_scale_stands_beside_the_features() -> None:
    network = {"kind": "efficientnet_lite0", "dimensions": 1280, "held_out_accuracy": None}
    few = FeatureRecord(**network, note="The scale of 1,280 features comes from 30 different images.")
    assert ("scale of the features", few.note) in facts(minimal(features=few))
    assert "scale of the features" not in dict(facts(minimal()))
