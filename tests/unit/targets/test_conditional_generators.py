"""What a conditional generator of somebody's is asked at first, and what is said of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganguard.base.compute import Compute
from ganguard.base.errors import SpecError, TargetError
from ganguard.base.settings import read_yaml
from ganguard.targets.conditions import Conditions
from ganguard.targets.foreign.code import ForeignCode
from ganguard.targets.foreign.conditional import spread, takes_labels
from ganguard.targets.foreign.settings import PLAIN
from ganguard.targets.load import parse_target
from ganguard.targets.module import ModuleTarget, WhiteBoxModuleTarget
from ganguard.targets.stochastic import WhiteBoxStochasticTarget

How = Callable[[Tensor, Tensor], Tensor]
"""Codes (N, 3) and classes (N,) -> rows (N, 16)."""
TEN = Conditions(names=tuple(f"c{number}" for number in range(10)))


class G(nn.Module):
    """A generator of 4x4 pixels for codes of 3 entries."""

    def __init__(self, how: How, classes: int = 10) -> None:
        super().__init__()
        self.how = how
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.weight = nn.Parameter(torch.randn(3, 16))
            self.table = nn.Parameter(torch.randn(classes, 3))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        return ((z + self.how(self.table, y)) @ self.weight).tanh().view(-1, 1, 4, 4)


def _embedded(table: Tensor, y: Tensor) -> Tensor:
    return table[y]


def _target(module: nn.Module, compute: Compute, known: Conditions | None = TEN) -> ModuleTarget:
    interface = replace(PLAIN, conditions=known)
    return ModuleTarget(module, latent_dim=3, identity="G", compute=compute, interface=interface)


def test_a_generator_that_heeds_its_classes_is_taken_without_a_remark(compute: Compute) -> None:
    assert _target(G(_embedded), compute).notes == ()
    assert _target(G(_embedded), compute, Conditions(names=("only",))).notes == ()


@pytest.mark.parametrize(
    "how",
    [
        lambda table, y: table[y] * (y / y.max().clamp(min=1))[:, None],
        lambda table, y: table[y] + y.float().mean(),
        lambda table, y: table[y - y.min()],
        lambda table, y: table[y[:1]].expand(len(y), -1),
        lambda table, y: table[y.sort().values],
        lambda table, y: table[y.unique(return_inverse=True)[1]],
    ],
    ids=["maximum", "mean", "minimum", "first", "sorted", "numbered anew"],
)
def test_an_image_that_depends_on_its_neighbours_classes_is_refused(how: How, compute: Compute) -> None:
    with pytest.raises(TargetError, match="the generator must give the same image") as raised:
        _target(G(how), compute)
    assert "\n" not in str(raised.value)


def test_classes_that_are_counted_from_the_batch_are_found(compute: Compute) -> None:
    """one_hot without num_classes has as many columns as the batch's last class."""
    with pytest.raises(TargetError, match="one_hot of classes without num_classes"):
        _target(G(lambda table, y: nn.functional.one_hot(y).float() @ table), compute)


def _classes(text: str) -> Any:
    said = f"{{python: 'factory:make', latent_dim: 3, classes: {text}}}"
    return parse_target(read_yaml(said, "spec"))


@pytest.mark.parametrize("text", ["3", "0x3", "[cat, dog, '007']", "[7, 8]", "null"])
def test_classes_are_a_number_or_names_and_what_is_written_of_them_can_be_read(text: str) -> None:
    settings = _classes(text)
    assert parse_target(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("true", "must be a number or a list of names; got True"),
        ("ab", "must be a number or a list of names; got 'ab'"),
        ("3.0", "must be a number or a list of names; got 3.0"),
        ("{names: [cat, dog]}", "must be a number or a list of names"),
        ("{names: [cat, dog], in_turn: true}", "must be a number or a list of names"),
        (
            "{kind: classes, names: [a, b], in_turn: true, together: 1, given: null}",
            "must be a number or a list",
        ),
        ("{kind: classes, names: [a, b], in_turn: false, together: 2, given: null}", "must be a number or a"),
        ("{kind: classes, names: [a, b], in_turn: false, together: 1, given: [0]}", "must be a number or a"),
        ("{kind: prompts, names: [a, b], in_turn: false, together: 1, given: null}", "must be a number or a"),
        ("0", "must be 1 to 100,000, or a list of names; got 0"),
        ("[01, 02]", "YAML reads '01' here as 1. Put that name in quotes"),
        ("[1_000]", "YAML reads '1_000' here as 1000. Put that name in quotes"),
        (f"[0x{'f' * 400}]", "Put that name in quotes"),
    ],
)
def test_what_are_no_classes_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        _classes(text)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("known", [9, 5, 1])
def test_a_generator_that_fails_for_the_last_class_is_refused(known: int, compute: Compute) -> None:
    with pytest.raises(TargetError, match=r"y \(N,\) int64 from 0 to 9: set `classes` to the classes"):
        _target(G(_embedded, classes=known), compute)


@pytest.mark.parametrize("count", [65, 100, 1000])
def test_of_many_classes_the_first_and_the_last_are_tried(count: int, compute: Compute) -> None:
    many = Conditions(names=tuple(map(str, range(count))))
    tried = spread(many, 128)
    assert {0, count - 1} <= set(tried[:64].tolist())
    assert (tried[:64] != tried[64:]).all()
    _target(G(_embedded, classes=count), compute, many)
    with pytest.raises(TargetError, match="set `classes`"):
        _target(G(_embedded, classes=count - 1), compute, many)


def test_a_class_that_is_not_a_number_is_refused(compute: Compute) -> None:
    def how(table: Tensor, y: Tensor) -> Tensor:
        return table[y] / (y != 7)[:, None]

    with pytest.raises(TargetError, match="NaN or infinity"):
        _target(G(how), compute)


def test_a_generator_that_ignores_its_classes_is_told_so(compute: Compute) -> None:
    (note,) = _target(G(lambda table, y: table[:1]), compute).notes
    assert "the same images for each of the 10 classes" in note
    assert "leave `classes` out" in note
    (note,) = _target(G(lambda table, y: table[y.clamp(max=7)]), compute).notes
    assert "'c8' gives the same images as 'c7' (8 of 10 classes that were tried differ)" in note


def test_what_forward_takes_is_said_if_it_raises(compute: Compute) -> None:
    class Plain(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z.tanh().view(-1, 3, 1, 1)

    with pytest.raises(TargetError, match="leave it out if it takes none"):
        _target(Plain(), compute)
    with pytest.raises(TargetError, match="If it takes a class beside the codes, set `classes`"):
        _target(G(_embedded), compute, None)


def test_names_are_part_of_the_identity_and_no_classes_are_none(compute: Compute) -> None:
    others = Conditions(names=tuple("abcdefghij"))
    assert _target(G(_embedded), compute).identity != _target(G(_embedded), compute, others).identity


def test_its_labels_are_its_own_to_change(compute: Compute) -> None:
    class Changes(G):
        def forward(self, z: Tensor, y: Tensor) -> Tensor:
            images = super().forward(z, y)
            y.zero_(), z.zero_()
            return images

    y = torch.tensor([3, 4])
    changed, plain = _target(Changes(_embedded), compute), _target(G(_embedded), compute)
    z = plain.draw_latents(range(2), seed=0)
    assert torch.equal(changed.generate(z, conditions=y), plain.generate(z, conditions=y))
    assert y.tolist() == [3, 4]


class D(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.arange(10.0))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        scores = images.flatten(1).sum(1)
        return scores if labels is None else scores + self.bias[labels]


class Plainly(nn.Module):
    def forward(self, images: Tensor, return_features: bool = False) -> Tensor:
        assert return_features is False
        return images.flatten(1).sum(1)


class Named(nn.Module):
    def forward(self, images: Tensor, *, y: Tensor | None = None) -> Tensor:
        return images.flatten(1).sum(1)


class Needed(nn.Module):
    def forward(self, images: Tensor, which: Tensor) -> Tensor:
        return images.flatten(1).sum(1) + which


def test_a_discriminator_gets_the_classes_if_it_takes_them(compute: Compute) -> None:
    assert [takes_labels(module) for module in (D(), Needed(), Plainly(), Named())] == [
        True,
        True,
        False,
        False,
    ]
    interface = replace(PLAIN, conditions=TEN)
    for kind, more in (
        (WhiteBoxModuleTarget, {}),
        (WhiteBoxStochasticTarget, {"foreign": ForeignCode()}),
    ):
        made = [
            kind(
                G(_embedded), module, latent_dim=3, identity="G", compute=compute, interface=interface, **more
            )
            for module in (D(), Plainly())
        ]
        images, y = made[0].sample(range(3), seed=0), torch.tensor([0, 4, 9])
        (conditional, plain) = (target.discriminator for target in made)
        difference = conditional.scores(images, y) - plain.scores(images, y)
        assert difference.tolist() == pytest.approx([0, 4, 9], abs=1e-4)
        with pytest.raises(TargetError, match="scores an image as one of a class"):
            conditional.scores(images)


def test_classes_are_a_number_or_names() -> None:
    def classes(said: object) -> Conditions | None:
        return parse_target({"python": "a:b", "classes": said}).classes  # type: ignore[attr-defined]

    found = classes(3)
    assert found is not None
    assert found.names == ("0", "1", "2")
    assert classes(["cat", "dog"]) == Conditions(names=("cat", "dog"))
    assert classes([7, 8]) == Conditions(names=("7", "8"))
    for wrong, said in (
        (0, "must be 1 to 100,000"),
        (-3, "must be 1 to"),
        (True, "classes"),
        ([], "classes"),
        (["cat", "cat"], "must name each condition once; 'cat' is there twice"),
        (["cat", ""], "classes"),
        (100_001, "must be 1 to 100,000"),
    ):
        with pytest.raises(SpecError, match=said) as raised:
            classes(wrong)
        assert "\n" not in str(raised.value)
