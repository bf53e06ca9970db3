"""`ganguard attack` on a target with classes, and data with other ones: refused before an image is bought."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganguard.architectures.checkpoint import save_checkpoint
from ganguard.architectures.networks import build_networks, parse_architecture
from ganguard.queries.ledger import Ledger

Cli = Callable[..., tuple[int, str, str]]
NAMES = ("cat", "dog", "owl")
KNOWING = "architecture={kind: sngan, width: 4, latent_dim: 5, classes: 3}"
SHORT = ("--query-budget", "100", "--set", "steps=1", "--set", "batch_size=8")


def gan(directory: Path, names: tuple[str, ...] = NAMES) -> Path:
    architecture = parse_architecture({"kind": "sngan", "width": 4, "latent_dim": 5, "classes": 3})
    networks = build_networks(architecture, (1, 8, 8))
    return save_checkpoint(directory, networks, architecture, (1, 8, 8), {"steps": 0}, class_names=names)


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    (tmp_path / "flat").mkdir()
    for number in range(240):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / "flat" / f"{number}.png")
    return tmp_path / "flat"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("accuracy_white_box", "--real", "{flat}"), "real: has no classes, and the target's discriminator"),
        (("accuracy_white_box", "--real", "digits", "--set", KNOWING), "real: has images of class '"),
        (("transfer", "--domain", "{flat}", "--set", KNOWING), "domain: has no classes"),
        (("transfer", "--domain", "digits", "--set", KNOWING), "domain: has 10 classes"),
        (("fidelity", "--set", "beginning.checkpoint={turned}"), "its class 0 is 'owl', and the target's"),
    ],
)
def test_other_classes_are_refused_before_an_image_is_bought(
    cli: Cli, tmp_path: Path, flat: Path, options: tuple[str, ...], said: str
) -> None:
    places = {"{flat}": str(flat), "{turned}": str(gan(tmp_path / "turned", NAMES[::-1]))}
    filled = [next((o.replace(key, path) for key, path in places.items() if key in o), o) for o in options]
    attack, *rest = filled
    code, _, err = cli(
        "attack", attack, str(gan(tmp_path / "gan")), "--out", str(tmp_path / "out"), *SHORT, *rest
    )
    assert code == 2, err
    assert said in " ".join(err.strip().splitlines()[-1].split())
    if (tmp_path / "out" / "ledger.sqlite").exists():
        with Ledger(tmp_path / "out" / "ledger.sqlite") as ledger:
            assert ledger.balance("adversary").delivered == 0
