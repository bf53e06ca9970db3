"""Texts and classes of pipelines as conditions."""

from pathlib import Path

import pytest
import torch
from pipelines import Saved, opened

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.queries.harvest import harvest
from ganguard.queries.store import Store
from ganguard.targets.ask import Ask
from ganguard.targets.conditions import conditions_of, sample
from ganguard.targets.load import parse_target

TEXTS = ["a cat", "two dogs", "an owl"]


@pytest.mark.slow
def test_an_image_shows_the_text_that_it_is_asked_for(saved: Saved, tmp_path: Path, compute: Compute) -> None:
    target = opened(saved("texts"), compute, prompts=TEXTS, batch=4)
    known = conditions_of(target)
    assert known is not None
    assert (known.kind, known.names) == ("prompts", tuple(TEXTS))
    own = target.sample(range(4), seed=0)
    asked = sample(target, range(4), seed=0, conditions=torch.tensor([0, 1, 2, 0]))
    assert torch.equal(own, asked)  # image i shows text i mod 3 if nobody asks
    owls = sample(target, range(4), seed=0, conditions=torch.full((4,), 2))
    assert torch.equal(owls[2], own[2])
    assert not (owls[[0, 1, 3]] == own[[0, 1, 3]]).flatten(1).all(1).any()
    alone = opened(saved("texts"), compute, prompts=["an owl"], batch=4)
    assert torch.equal(alone.sample(range(4), seed=0), owls)
    store = Store(tmp_path, target.identity, "us", 3, ask=Ask(only=("an owl",)))
    assert torch.equal(harvest(target, store, 3), alone.sample(range(3), seed=3))
    assert store.read_conditions(3) == ["an owl"] * 3


def test_classes_are_asked_for_by_their_number(saved: Saved, compute: Compute) -> None:
    target = opened(saved("of classes"), compute, labels=[3, 1], batch=4)
    known = conditions_of(target)
    assert known is not None
    assert (known.kind, known.names) == ("classes", ("3", "1"))
    own = target.sample(range(4), seed=0)
    assert torch.equal(own, sample(target, range(4), seed=0, conditions=torch.tensor([0, 1, 0, 1])))
    everything = opened(saved("of classes"), compute, batch=4)
    all_known = conditions_of(everything)
    assert all_known is not None
    assert all_known.names == ("0", "1", "2", "3")
    ones = sample(everything, range(4), seed=0, conditions=torch.tensor([3, 1, 3, 1]))
    assert torch.equal(ones, own)
    assert conditions_of(opened(saved("ddpm"), compute)) is None


def test_texts_that_cannot_be_asked_for_are_refused_before_the_pipeline_opens(
    saved: Saved, tmp_path: Path, compute: Compute
) -> None:
    (tmp_path / "twice.txt").write_text("a\nb\n a\n")
    (tmp_path / "empty.txt").write_text("\n")
    for prompts, said in (
        (["a", "b", "a"], "'a' is there twice"),
        (str(tmp_path / "twice.txt"), "twice.txt: must hold each prompt once"),
        (str(tmp_path / "empty.txt"), "it holds none"),
    ):
        with pytest.raises(TargetError, match=said):
            opened(saved("of classes"), compute, prompts=prompts)
    with pytest.raises(SpecError, match="must name each class once"):
        parse_target({"diffusers": str(saved("of classes")), "labels": [1, 1]})
