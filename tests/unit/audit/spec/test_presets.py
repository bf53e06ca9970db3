"""The presets: each parses, and those of published recipes say what was published."""

from pathlib import Path

import pytest
import torch

from ganguard.architectures.networks import build_networks
from ganguard.architectures.sngan import SNGAN
from ganguard.audit.plan.ground import lay_ground
from ganguard.audit.spec.independent import Independent
from ganguard.audit.spec.reading import audits_listed, presets, read_spec
from ganguard.audit.spec.target import TrainTarget
from ganguard.base.errors import DataError
from ganguard.data import fashion_mnist
from ganguard.data.dataset import fingerprint

DOCS = Path(__file__).parents[4] / "docs"
# side, n_dis, learning_rate_decay, FID: as Lee & Town 2020 publish them, and kwotsin/mimicry's README
OF_MIMICRY = {
    "sngan-cifar-32": (32, 5, "linear", "16.77 +- 0.04"),
    "sngan-stl-48": (48, 5, "linear", "39.56 +- 0.10"),
    "sngan-celeba-64": (64, 5, "linear", "5.71 +- 0.02"),
    "sngan-celeba-128": (128, 2, "none", "12.93 +- 0.04"),
    "sngan-lsun-128": (128, 2, "linear", "25.87 +- 0.03"),
}
OF_FASHION_FULL = ("fashion-full-0", "fashion-full-1")


def test_every_preset_parses_and_says_what_it_is() -> None:
    of = ["digits-accuracy", "digits-accuracy-good", "digits-accuracy-early"]
    accuracy = [f"{name}{form}" for name in of for form in ("", "-full", "-quick")]
    defences = ["digits-averaging", "digits-defences", "digits-defences-full", "digits-defences-quick"]
    defences += ["digits-reweighting"]
    conditional = ["digits-conditional", "digits-conditional-full"]
    others = [
        "digits-distillation",
        "digits-few",
        "digits-flow",
        "digits-full",
        "digits-http",
        "digits-private",
        "digits-transfer",
        "patches-utility",
    ]
    published = ["pggan-celeba-64", "sngan-celeba-64", *OF_MIMICRY, "stylegan2-64", "transfer-lsun"]
    of_pairs = [
        f"{name}-{target}" for name in ("pairs", "pairs-64") for target in ("pggan", "sngan", "stylegan2")
    ]
    pairs = ["pairs", "pairs-64", *of_pairs]
    fashion = ["fashion", "fashion-accuracy", "fashion-defences", "fashion-full", *OF_FASHION_FULL]
    others += [*fashion, "accuracy-64", "cifar", "defences-64", "faces", "lsun-church"]
    assert set(presets()) == {"digits", *accuracy, *conditional, *defences, *others, *published, *pairs}
    for name, text in presets().items():
        assert text.startswith("# ")
        if (listed := audits_listed(name)[1]) or name in ("pairs", "pairs-64", *accuracy[:3]):
            assert set(listed) < {*of_pairs, *accuracy[3:], *OF_FASHION_FULL}
            continue
        parsed_name, spec = read_spec(name, [])
        assert parsed_name == name
        assert isinstance(spec.target, TrainTarget) is (
            name not in ("patches-utility", "digits-http", "faces")
        )


def test_fashion_is_copied_at_three_budgets_and_names_data_that_a_user_can_have() -> None:
    _, spec = read_spec("fashion", ["real.path=mine", "target.train.dataset.path=mine"])
    assert isinstance(spec.target, TrainTarget) and spec.target.dataset == spec.real
    assert spec.real.image_shape() == (1, 14, 14) and spec.seeds == (0,)
    assert spec.independent == Independent()
    found = [(attack.architecture.kind, attack.query_budget) for attack in spec.attacks]
    assert found == [(kind, budget) for kind in ("sngan",) for budget in (1000, 5000, 20000)]
    for name in ("fashion-defences", "fashion-accuracy"):
        other = read_spec(name, [])[1]
        assert (other.target, other.real, other.seeds) == (
            read_spec("fashion", [])[1].target,
            other.real,
            (0,),
        )


def test_fashion_in_full_has_two_targets_that_differ_in_their_seed() -> None:
    one, other = (read_spec(name, [])[1] for name in OF_FASHION_FULL)
    assert audits_listed("fashion-full")[1] == list(OF_FASHION_FULL)
    assert isinstance(one.target, TrainTarget) and isinstance(other.target, TrainTarget)
    assert (one.target.seed, other.target.seed) == (0, 1) and one.seeds == (0, 1, 2, 3, 4)
    assert one.real.image_shape() == (1, 28, 28)
    same = other.target.model_copy(update={"seed": 0})
    assert other.model_copy(update={"target": same}) == one


@pytest.mark.parametrize("name", ["cifar", "lsun-church", "accuracy-64", "defences-64"])
def test_plans_at_published_sizes_are_trained_as_the_presets_that_they_name(name: str) -> None:
    like = "sngan-cifar-32" if name == "cifar" else "sngan-celeba-64"
    spec, published = read_spec(name, [])[1], read_spec(like, [])[1]
    assert spec.for_gpu and "no result of it is published here" in " ".join(presets()[name].split("\n# "))
    assert isinstance(spec.target, TrainTarget) and isinstance(published.target, TrainTarget)
    assert spec.target.training() == published.target.training()
    assert spec.target.dataset == spec.real and spec.real.image_shape() == published.real.image_shape()
    assert spec.attacks[0].model_dump(include={"architecture", "steps", "batch_size", "ema_decay"}) == (
        published.attacks[0].model_dump(include={"architecture", "steps", "batch_size", "ema_decay"})
    )


def test_the_face_gan_is_nobodys_here_and_has_no_honest_floor() -> None:
    _, spec = read_spec("faces", [])
    assert spec.independent == "off" and spec.features.kind == "efficientnet_lite0"
    assert spec.target.model_dump()["python"] == "ganguard.targets.published_faces:make"
    assert "that floor is withheld" in presets()["faces"]


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
    assert full.independent == Independent(shares=(1, 0.5)) and once.independent == Independent()
    alike = {"seeds": once.seeds, "independent": once.independent, "attacks": once.attacks}
    assert full.model_copy(update=alike) == once
    # `digits` trains an honest model for each seed as well, and so its copies for fewer steps.
    sooner = {"steps": 2250, "learning_rate": 4.0e-3} if name == "digits" else {}
    assert tuple(a.model_copy(update=sooner) for a in full.attacks[: len(once.attacks)]) == once.attacks


def test_the_first_audit_has_three_seeds_of_one_architecture_and_honest_models() -> None:
    _, spec = read_spec("digits", [])
    assert spec.seeds == (0, 1, 2) and spec.independent == Independent()
    assert [(a.architecture.kind, a.query_budget) for a in spec.attacks] == [
        ("sngan", 200),
        ("sngan", 1000),
        ("sngan", 5000),
    ]
    assert {a.architecture.kind for a in read_spec("digits-full", [])[1].attacks} == {"sngan", "dcgan"}


def test_defences_at_five_seeds_are_some_of_those_at_one() -> None:
    _, once = read_spec("digits-defences", [])
    _, full = read_spec("digits-defences-full", [])
    assert full.seeds == (0, 1, 2, 3, 4)
    assert all(chain in once.defences for chain in full.defences)
    shared = {"target", "real", "features", "codes", "attacks", "samples"}
    assert full.model_dump(include=shared) == once.model_dump(include=shared)


def _audits() -> list[str]:
    return [name for name in presets() if not audits_listed(name)[1]]


@pytest.mark.parametrize("name", _audits())
def test_a_preset_whose_images_are_not_at_hand_says_how_to_get_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever its images lie in a folder of the user's, or in a package that is absent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "absent")
    _, spec = read_spec(name, [])
    try:
        fingerprint(spec.real)
    except DataError:
        with pytest.raises(DataError) as raised:
            lay_ground(spec)
        said = str(raised.value)
        assert spec.how_to_get in said and "\n" not in said
        assert spec.how_to_get or "apt-get install dataset-fashion-mnist" in said
        return
    assert spec.real.kind in ("digits", "cifar", "photo_patches")  # shipped, or downloaded


def test_faces_names_the_harvest_that_makes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, spec = read_spec("faces", [])
    with pytest.raises(
        DataError, match=r"ganguard harvest python:ganguard\.targets\.published_faces:make .*faces$"
    ):
        lay_ground(spec)
    assert spec.how_to_get in presets()["faces"].split("target:")[0].replace("#   ", "")


def test_specs_without_such_words_are_written_as_before() -> None:
    assert "how_to_get" not in read_spec("digits", [])[1].model_dump(mode="json")
