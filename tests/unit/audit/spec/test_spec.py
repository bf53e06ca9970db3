"""The spec: what it accepts, how budgets and labels come out, and one clear line for each mistake."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from spec_samples import SMALL

from ganguard.architectures.networks import build_networks
from ganguard.architectures.sngan import SNGAN
from ganguard.audit.spec.reading import audits_listed, presets, read_spec
from ganguard.audit.spec.spec import Spec, TrainTarget
from ganguard.base.errors import SpecError
from ganguard.base.settings import parse

DOCS = Path(__file__).parents[4] / "docs"
# side, n_dis, learning_rate_decay, FID: as Lee & Town 2020 publish them, and kwotsin/mimicry's README
OF_MIMICRY = {
    "sngan-cifar-32": (32, 5, "linear", "16.77 +- 0.04"),
    "sngan-stl-48": (48, 5, "linear", "39.56 +- 0.10"),
    "sngan-celeba-64": (64, 5, "linear", "5.71 +- 0.02"),
    "sngan-celeba-128": (128, 2, "none", "12.93 +- 0.04"),
    "sngan-lsun-128": (128, 2, "linear", "25.87 +- 0.03"),
}


def spec_with(**changes: object) -> Spec:
    return parse(Spec, {**SMALL, **changes}, "spec")


def test_every_preset_parses_and_says_what_it_is() -> None:
    of = ["digits-accuracy", "digits-accuracy-good", "digits-accuracy-early"]
    accuracy = [f"{name}{form}" for name in of for form in ("", "-full", "-quick")]
    defences = ["digits-averaging", "digits-defences", "digits-defences-full", "digits-defences-quick"]
    others = ["digits-full", "digits-http", "digits-private", "digits-transfer", "patches-utility"]
    published = ["pggan-celeba-64", "sngan-celeba-64", *OF_MIMICRY, "stylegan2-64", "transfer-lsun"]
    of_pairs = [
        f"{name}-{target}" for name in ("pairs", "pairs-64") for target in ("pggan", "sngan", "stylegan2")
    ]
    pairs = ["pairs", "pairs-64", *of_pairs]
    assert set(presets()) == {"digits", *accuracy, *defences, *others, *published, *pairs}
    for name, text in presets().items():
        assert text.startswith("# ")
        if (listed := audits_listed(name)[1]) or name in ("pairs", "pairs-64", *accuracy[:3]):
            assert set(listed) < {*of_pairs, *accuracy[3:]}
            continue
        parsed_name, spec = read_spec(name, [])
        assert parsed_name == name
        assert isinstance(spec.target, TrainTarget) is (name not in ("patches-utility", "digits-http"))


@pytest.mark.parametrize("name", ["pggan-celeba-64", "sngan-celeba-64", "stylegan2-64"])
def test_the_networks_of_a_published_recipe_are_of_the_published_size(name: str) -> None:
    _, spec = read_spec(name, [f"{part}.path=mine" for part in ("target.train.dataset", "real")])
    assert isinstance(spec.target, TrainTarget)
    assert spec.target.dataset == spec.real
    with torch.device("meta"):
        networks = build_networks(spec.target.architecture, (3, 64, 64))
    assert 1e7 < sum(p.numel() for p in networks.generator.parameters()) < 3e7


@pytest.mark.parametrize("name", ["pairs", "pairs-64"])
def test_the_audits_of_pairs_differ_in_the_target_alone(name: str) -> None:
    """And a copy is trained as the target of its architecture is, but that the first names all that the
    others inherit."""
    specs = [read_spec(each, [])[1] for each in audits_listed(name)[1]]
    assert len({spec.model_dump_json(exclude={"target"}) for spec in specs}) == 1
    assert len(specs[0].seeds) >= 5
    for spec, attack in zip(specs, specs[0].attacks, strict=True):
        assert isinstance(spec.target, TrainTarget)
        said = spec.target.completed(), spec.target.architecture, spec.target.steps, spec.target.batch_size
        assert said == (attack.completed(), attack.architecture, attack.steps, attack.batch_size)
        assert spec.target.ema_decay == attack.ema_decay


def test_a_published_recipe_is_what_its_preset_completes_to() -> None:
    found = {name: read_spec(name, [])[1].target for name in ("pggan-celeba-64", "stylegan2-64")}
    pggan, stylegan2 = (target for target in found.values() if isinstance(target, TrainTarget))
    assert (pggan.completed().penalty, pggan.completed().penalty_weight) == ("gradient", 10)
    assert pggan.steps == 48_000 + 4 * 96_000
    assert (stylegan2.completed().penalty, stylegan2.completed().penalty_weight) == ("r1", 0.0256)
    assert stylegan2.completed().path_length_weight == 2
    assert all(_copy_is_trained_alike(name) for name in found)


@pytest.mark.parametrize("name", OF_MIMICRY)
def test_an_sngans_recipe_is_the_published_one(name: str) -> None:
    side, n_dis, decay, fid = OF_MIMICRY[name]
    _, spec = read_spec(name, [])
    assert isinstance(spec.target, TrainTarget)
    target, complete = spec.target, spec.target.completed()
    assert target.dataset == spec.real
    assert (target.dataset.model_dump()["size"], target.architecture) == (side, SNGAN(width_factor=1))
    assert (target.steps, target.batch_size, target.ema_decay) == (100_000, 64, 0)
    assert (complete.loss, complete.learning_rate, complete.betas) == ("hinge", 2e-4, (0, 0.9))
    assert (complete.n_dis, complete.learning_rate_decay) == (n_dis, decay)
    assert _copy_is_trained_alike(name)
    said = " ".join(presets()[name].replace("\n# ", " ").split())
    assert "Lee & Town 2020" in said and fid in said
    published = (DOCS / "architectures.md").read_text()
    assert f"`{name}`" in published and fid.replace("+-", "±") in published


def _copy_is_trained_alike(preset: str) -> bool:
    _, spec = read_spec(preset, [])
    said, same = spec.attacks[0].model_dump(), spec.target.model_dump()
    return all(said[key] == same[key] for key in said.keys() & same.keys())


@pytest.mark.parametrize("name", ["digits", "digits-accuracy-good", "digits-accuracy-early"])
def test_the_full_form_of_a_preset_has_five_seeds(name: str) -> None:
    _, once = read_spec(name, [])
    _, full = read_spec(f"{name}-full", [])
    assert full.seeds == (0, 1, 2, 3, 4)
    assert full.model_copy(update={"seeds": (0,)}) == once


def test_defences_at_five_seeds_are_some_of_those_at_one() -> None:
    _, once = read_spec("digits-defences", [])
    _, full = read_spec("digits-defences-full", [])
    assert full.seeds == (0, 1, 2, 3, 4)
    assert all(chain in once.defences for chain in full.defences)
    shared = {"target", "real", "features", "codes", "attacks", "samples"}
    assert full.model_dump(include=shared) == once.model_dump(include=shared)


def test_a_spec_like_a_preset_says_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("like: digits-accuracy-good\ntarget: {train: {steps: 7}}\nsamples: 60\n")
    _, mine = read_spec(str(file), ["seeds=[4]"])
    _, preset = read_spec("digits-accuracy-good", [])
    assert isinstance(mine.target, TrainTarget) and isinstance(preset.target, TrainTarget)
    assert (mine.target.steps, mine.samples, mine.seeds, mine.attacks) == (7, 60, (4,), preset.attacks)
    assert mine.target.model_copy(update={"steps": preset.target.steps}) == preset.target


def test_a_spec_like_several_audits_names_them(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("like: digits-accuracy\n")
    with pytest.raises(
        SpecError, match=r"like: digits-accuracy lists audits: digits-accuracy-good, .*\. Name one of them\.$"
    ):
        read_spec(str(file), [])


def test_a_spec_like_no_preset_names_the_known_ones(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    for like in ("digist", "[1]"):
        file.write_text(f"like: {like}\n")
        with pytest.raises(SpecError, match="like: unknown preset"):
            read_spec(str(file), [])


def test_lists_of_what_may_be_swept_make_an_attack_each() -> None:
    partial = {
        "kind": "accuracy_partial_black_box",
        "architecture": "sngan",
        "query_budget": [10, 20],
        "real_fraction": [0.1, 0.5],
    }
    labelled = spec_with(attacks=[partial]).labelled_attacks()
    assert [(label, [a.query_budget for a in attacks]) for label, attacks in labelled] == [
        ("accuracy partial black box sngan, 10 % real", [10, 20]),
        ("accuracy partial black box sngan, 50 % real", [10, 20]),
    ]


def test_each_budget_becomes_an_attack_and_labels_are_unique() -> None:
    sngan = {"kind": "fidelity", "architecture": "sngan"}
    longer = {**sngan, "steps": 99, "query_budget": 5}
    spec = spec_with(attacks=[{**sngan, "query_budget": [20, 10]}, longer, {**sngan, "query_budget": 30}])
    found = [(label, [s.query_budget for s in settings]) for label, settings in spec.labelled_attacks()]
    assert found == [("fidelity sngan", [10, 20, 30]), ("fidelity sngan #2", [5])]


def test_a_spec_survives_json() -> None:
    spec = spec_with()
    dumped = spec.model_dump(mode="json")
    assert dumped["target"]["architecture"]["kind"] == "sngan"
    assert [attack["query_budget"] for attack in dumped["attacks"]] == [20, 10]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"atacks": []},
            "spec.atacks: unknown key. Did you mean 'attacks'? Known: adversaries, attacks, codes",
        ),
        ({"samples": 5}, "greater than or equal to 6"),
        (
            {"target": "digits"},
            "target must be a mapping with one of checkpoint, hub, images, python, torchscript, train, url",
        ),
        ({"seeds": []}, "one or more distinct whole numbers"),
        ({"seeds": [1, 1]}, "one or more distinct whole numbers"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"attacks": []}, "attacks must be a list with at least one attack"),
        ({"attacks": ["fidelity"]}, "attacks.0 must be a mapping with `kind`"),
        ({"real": "digit"}, "unknown data set 'digit'; did you mean 'digits'? Known: digits, image_folder"),
        (
            {"features": "inseption"},
            "unknown feature network 'inseption'; did you mean 'inception'? Known: classifier, huggingface",
        ),
        ({"codes": "mine"}, "'provider' or 'client'"),
        ({"samples": 0}, "greater than 0"),
        ({"target": {"checkpont": "x"}}, "unknown target 'checkpont'; did you mean 'checkpoint'?"),
        (
            {"target": {"train": {"dataset": "digits", "architecture": "sngn"}}},
            "unknown architecture 'sngn'; did you mean",
        ),
        ({"target": {"train": {"dataset": "digits"}}}, "architecture: this key is required and missing"),
    ],
)
def test_a_mistake_gets_one_line(changes: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError) as raised:
        spec_with(**changes)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_misspelt_key_is_named_before_the_one_it_was_meant_to_be() -> None:
    misspelt = {"rael" if key == "real" else key: value for key, value in SMALL.items()}
    with pytest.raises(SpecError, match=r"spec\.rael: unknown key\. Did you mean 'real'\?"):
        parse(Spec, misspelt, "spec")


@pytest.mark.parametrize("budget", [0, -5, 1.5, "many", True, None])
def test_a_budget_is_a_whole_number_above_0(budget: object) -> None:
    with pytest.raises(SpecError, match="query_budget"):
        spec_with(attacks=[{"kind": "fidelity", "architecture": "sngan", "query_budget": budget}])


def test_an_unknown_attack_key_names_the_nearest() -> None:
    with pytest.raises(SpecError, match=r"unknown key\. Did you mean 'steps'\?"):
        spec_with(attacks=[{"kind": "fidelity", "architecture": "sngan", "query_budget": 5, "step": 3}])


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(
        SpecError,
        match=r"unknown preset 'digit'; did you mean 'digits'\? Known: digits, .*digits-full, .*digits-transfer",
    ):
        read_spec("digit", [])


def test_a_missing_file_is_no_preset() -> None:
    with pytest.raises(SpecError, match=r"absent\.yaml: no such spec file"):
        read_spec("absent.yaml", [])


@pytest.mark.parametrize(
    "text",
    ["a: [", "- 1", "just words", "", "a: 1\na: 2", "a: &x [1]\nb: [*x, *x]", "a: 2020-99-99", "[" * 3000],
    ids=["open", "list", "words", "empty", "key twice", "alias", "no such day", "deep"],
)
def test_a_file_that_is_no_spec(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=r"mine\.yaml"):
        read_spec(str(path), [])


def test_set_reaches_nested_keys_and_lists() -> None:
    _, spec = read_spec("digits", ["target.train.steps=7", "attacks.1.architecture=sngan", "seeds=[3, 4]"])
    assert isinstance(spec.target, TrainTarget)
    assert spec.target.steps == 7
    assert {attack.architecture.kind for attack in spec.attacks} == {"sngan"}
    assert spec.seeds == (3, 4)


@pytest.mark.parametrize("change", ["steps", "=3", "attacks.9.steps=1", "real.kind=digits", "a..b=1"])
def test_set_refuses_what_leads_nowhere(change: str) -> None:
    with pytest.raises(SpecError):
        read_spec("digits", [change])


def test_a_target_of_another_kind_takes_the_place_of_the_presets(
    tmp_path: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    checkpoint, file = tiny_checkpoint(tmp_path / "copy"), tmp_path / "mine.yaml"
    file.write_text(
        f"like: digits\ntarget: {{checkpoint: {checkpoint}}}\nreal: {{kind: digits, classes: [1, 2]}}\n"
    )
    _, mine = read_spec(str(file), [])
    assert not isinstance(mine.target, TrainTarget)
