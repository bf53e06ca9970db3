"""`ganguard directions fit`: what it prints and writes, and one line for what cannot be."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from ganguard.base.seeds import seeded_weights
from ganguard.comparison.embedding import FeatureDescription
from ganguard.defences.direction_files import load_direction, save_direction
from ganguard.defences.semantic_directions import Direction
from ganguard.metrics.features.classifier import WEIGHTS, Classifier

Cli = Callable[..., tuple[int, str, str]]
FIT = ("directions", "fit")
FEW = ("--samples", "200", "--share", "0.1")


@pytest.fixture
def gan(cli: Cli, tiny_checkpoint: Callable[..., Path]) -> str:
    return str(tiny_checkpoint(Path("gan")))


def _save_features(directory: Path, channels: int = 1) -> None:
    """The `features` directory of an audit whose classifier was never trained."""
    settings = Classifier(width=2, dimensions=3)
    with seeded_weights(0):
        network = settings.untrained(channels, 4)
    directory.mkdir()
    save_file(network.state_dict(), directory / WEIGHTS)
    save_file({"mean": torch.zeros(3), "std": torch.ones(3)}, directory / "scale.safetensors")
    said = FeatureDescription(
        settings=settings.model_dump(mode="json"), channels=channels, dimensions=3, held_out_accuracy=None
    )
    (directory / "features.json").write_text(said.model_dump_json())


def test_a_direction_is_fitted_written_and_told(cli: Cli, gan: str) -> None:
    code, out, err = cli(*FIT, gan, "--attribute", "slant", "--out", "slant", *FEW)
    assert code == 0, err
    said = json.loads(out)
    assert (said["attribute"], said["samples"], said["latent_dim"], said["direction"]) == (
        "slant",
        200,
        5,
        "slant",
    )
    assert 0 <= said["rest_accuracy"] <= 1
    assert 0 <= said["held_out_accuracy"] <= 1
    assert list(said["effect"]["mean_score_at"]) == ["-3", "-2", "-1", "+0", "+1", "+2", "+3"]
    direction = load_direction(Path("slant"))
    assert (direction.name, direction.samples, direction.intercept) == ("slant", 200, said["intercept"])
    with Image.open("slant/strip.png") as strip:
        assert strip.size == (7 * 9 - 1, 6 * 9 - 1)
    assert "✓ directions fit slant" in err
    assert cli(*FIT, gan, "--attribute", "slant", "--out", "again", *FEW)[1].replace("again", "slant") == out


def test_one_is_fitted_beside_others(cli: Cli, gan: str) -> None:
    assert cli(*FIT, gan, "--attribute", "slant", "--out", "slant", *FEW)[0] == 0
    code, out, err = cli(
        *FIT, gan, "--attribute", "thickness", "--condition", "slant", "--out", "thickness", *FEW
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["conditioned_on"] == ["slant"]
    assert 0 < said["kept"] <= 1
    one, other = load_direction(Path("slant")), load_direction(Path("thickness"))
    assert (one.vector @ other.vector).abs().item() < 1e-6
    assert other.name == "thickness beside slant"
    assert other.rest_accuracy is None


def test_a_class_is_told_by_an_audits_classifier(cli: Cli, gan: str) -> None:
    _save_features(Path("features"))
    common = (gan, "--features", "features", "--out", "x", *FEW)
    code, out, err = cli(*FIT, *common, "--attribute", "class:3")
    assert code == 0, err
    assert json.loads(out)["attribute"] == "class:3"
    code, _, err = cli(*FIT, *common, "--attribute", "class:4")
    assert (code, err.splitlines()[-1]) == (
        2,
        "error: class:4: the classifier knows classes 0 to 3. Name one of these.",
    )


def _directions() -> None:
    for name, vector in (("other", torch.eye(3)[0]), ("damaged", torch.eye(5)[0])):
        save_direction(Direction(vector, 0.0, name, None, None, 1.0, 1), Path(name))
    (Path("damaged") / "direction.safetensors").write_bytes(b"x")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing option '--attribute'. See `ganguard directions --help`."),
        (("--attribute", "slnat"), "unknown attribute 'slnat'; did you mean 'slant'?"),
        (("--attribute", "class:3"), "Give --features"),
        (("--attribute", "class:3", "--features", "absent"), "unknown feature"),
        (("--attribute", "class:3", "--features", "classifier"), "must be trained first"),
        (("--attribute", "class:3", "--features", "random_network"), "gives none. Set features: inception"),
        (("--attribute", "slant", "--features", "random_network"), "Leave --features out"),
        (("--attribute", "slant", "--samples", "0"), "--samples"),
        (
            ("--attribute", "slant", "--samples", "30"),
            "With share 0.02, 500 samples are enough; with these samples, share 0.334",
        ),
        (("--attribute", "slant", "--share", "0.5"), "share must be more than 0 and less than 0.5"),
        (("--attribute", "slant", "--share", "nan"), "share must be more than 0 and less than 0.5"),
        (("--attribute", "slant", "--condition", "absent"), "absent: holds no direction.json"),
        (("--attribute", "slant", "--condition", "damaged"), "direction.safetensors: not a direction"),
        (
            ("--attribute", "slant", "--condition", "other", *FEW),
            "slant is a direction of 5 entries, and other one of 3",
        ),
        (("--attribute", "slant", "--device", "tpu"), "'cpu', 'cuda' or 'auto'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cli: Cli, gan: str, arguments: tuple[str, ...], said: str
) -> None:
    _directions()
    code, out, err = cli(*FIT, gan, "--out", "x", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert not Path("x", "direction.json").exists()


def test_a_target_that_is_absent_or_takes_no_codes_is_refused(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "holds no checkpoint.json" in cli(*FIT, "absent", "--attribute", "slant", "--out", "x")[2]
    assert "looks like a pickle" in cli(*FIT, "model.pt", "--attribute", "slant", "--out", "x")[2]
    monkeypatch.setattr("ganguard.targets.load.load_target", lambda settings, compute: object())
    code, _, err = cli(*FIT, "absent", "--attribute", "slant", "--out", "x")
    assert (code, err) == (
        2,
        "error: absent: takes no codes, and a direction is fitted to codes. Name a target whose codes can be "
        "chosen.\n",
    )


def test_features_of_other_images_are_refused(cli: Cli, gan: str) -> None:
    _save_features(Path("features"), channels=3)
    code, _, err = cli(*FIT, gan, "--attribute", "class:3", "--features", "features", "--out", "x")
    assert (code, err) == (
        2,
        "error: features: made for images of 3 channels; these have 1. Choose other features.\n",
    )


def test_help_and_a_verb_without_command(cli: Cli) -> None:
    assert "directions" in cli("--help")[1]
    code, out, _ = cli("directions", "--help")
    assert (code, "fit" in out) == (0, True)
    code, _, err = cli("directions")
    assert (code, "See `ganguard directions --help`" in err) == (2, True)
    code, _, err = cli("directions", "fti")
    assert (code, "See `ganguard directions --help`" in err) == (2, True)
