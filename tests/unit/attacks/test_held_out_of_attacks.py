"""Attacks whose flow holds images out: one judge at a time, and none after the first training."""

import pytest

from ganguard.attacks.accuracy_partial_black_box import PartialBlackBoxSettings
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse

SAID = {"kind": "accuracy_partial_black_box", "architecture": "flow", "query_budget": 10, "held_out": 0.1}


def test_images_that_are_mixed_with_real_ones_have_one_judge() -> None:
    with pytest.raises(SpecError, match="held_out chooses a step of the training, and so does the judge"):
        parse(PartialBlackBoxSettings, {**SAID, "schedule": "mix"}, "attack")


def test_a_flow_that_trains_apart_from_real_images_can_look_through_a_defence() -> None:
    apart, mixed = ({**SAID, "schedule": how} for how in ("fine_tune", "mix"))
    del mixed["held_out"]
    assert parse(PartialBlackBoxSettings, apart, "attack").trains_through()
    assert not parse(PartialBlackBoxSettings, mixed, "attack").trains_through()
