import pytest
import torch
from pydantic import BaseModel

from ganguard.architectures.dcgan import DCGAN
from ganguard.architectures.networks import (
    ArchitectureField,
    ArchitectureSettings,
    build_networks,
    parse_architecture,
    recipe_of,
)
from ganguard.architectures.pggan import PGGAN
from ganguard.architectures.sngan import SNGAN
from ganguard.architectures.stylegan2 import StyleGAN2
from ganguard.base.errors import SpecError
from ganguard.base.seeds import seeded_weights


@pytest.mark.parametrize("value", ["sngan", {"kind": "sngan"}, SNGAN()])
def test_a_name_a_mapping_and_settings_are_read_alike(value: object) -> None:
    assert parse_architecture(value) == SNGAN()


def test_settings_in_a_mapping_are_taken() -> None:
    assert parse_architecture({"kind": "dcgan", "width": 5}) == DCGAN(width=5)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        SpecError,
        match=r"unknown architecture 'sngam'; did you mean 'sngan'\? Known: acgan, biggan, dcgan, flow, "
        r"pggan, sngan, stylegan2",
    ):
        parse_architecture("sngam")


def test_an_unknown_key_is_named_below_its_architecture() -> None:
    with pytest.raises(SpecError, match=r"^sngan\.widht: unknown key\. Did you mean 'width'\?"):
        parse_architecture({"kind": "sngan", "widht": 3})


def test_a_field_keeps_the_settings_of_its_kind_when_it_is_written() -> None:
    """pydantic writes a field by its declared type, which knows neither width nor latent_dim, unless told
    otherwise."""

    class Spec(BaseModel):
        architecture: ArchitectureField

    written = Spec(architecture={"kind": "dcgan", "width": 5}).model_dump(mode="json")
    assert written["architecture"] == {
        "kind": "dcgan",
        "width": 5,
        "latent_dim": 128,
        "discriminator_norm": "batch",
    }
    assert Spec.model_validate(written).architecture == DCGAN(width=5)


def test_the_recipes_are_those_of_the_papers() -> None:
    dcgan, sngan = recipe_of(DCGAN()), recipe_of(SNGAN())
    assert (dcgan.loss, dcgan.learning_rate, dcgan.betas, dcgan.n_dis) == (
        "non_saturating",
        2e-4,
        (0.5, 0.999),
        1,
    )
    assert (sngan.loss, sngan.learning_rate, sngan.betas, sngan.n_dis) == ("hinge", 2e-4, (0.0, 0.9), 5)
    assert dcgan.penalty == sngan.penalty == "none"
    pggan, stylegan2 = recipe_of(PGGAN()), recipe_of(StyleGAN2())
    assert (pggan.loss, pggan.learning_rate, pggan.betas, pggan.n_dis) == (
        "wasserstein",
        1e-3,
        (0.0, 0.99),
        1,
    )
    assert (pggan.penalty, pggan.penalty_weight, pggan.penalty_every, pggan.drift) == (
        "gradient",
        10,
        1,
        1e-3,
    )
    assert (stylegan2.loss, stylegan2.learning_rate, stylegan2.betas) == ("non_saturating", 2e-3, (0.0, 0.99))
    assert (stylegan2.penalty, stylegan2.penalty_weight, stylegan2.penalty_every) == ("r1", 10, 16)
    assert (stylegan2.path_length_weight, stylegan2.path_length_every) == (2, 4)


@pytest.mark.parametrize(
    ("kind", "image_shape", "counts"),
    [
        ("dcgan", (1, 8, 8), (165_345, 34_241)),
        ("dcgan", (3, 32, 32), (1_218_339, 694_017)),
        ("sngan", (1, 8, 8), (86_081, 28_161)),
        ("sngan", (3, 32, 32), (126_019, 66_849)),
        ("pggan", (3, 64, 64), (22_498_063, 22_498_049)),  # as pytorch_GAN_zoo's, commit b75dee4
        ("pggan", (3, 128, 128), (22_941_074, 22_941_313)),
        (
            "stylegan2",
            (3, 64, 64),
            (27_032_600, 26_488_833),
        ),  # as stylegan2-ada-pytorch's with channel_base 32768
        ("stylegan2", (3, 128, 128), (29_328_669, 28_389_121)),
    ],
)
def test_parameter_counts_are_pinned(
    kind: str, image_shape: tuple[int, int, int], counts: tuple[int, int]
) -> None:
    """Published checkpoints stop loading when a layer changes; these counts are of the default settings."""
    with torch.device("meta"):
        networks = build_networks(parse_architecture(kind), image_shape)
    found = [
        sum(p.numel() for p in module.parameters()) for module in (networks.generator, networks.discriminator)
    ]
    assert tuple(found) == counts


@pytest.mark.parametrize(
    ("settings", "side", "expected"),
    [
        (SNGAN(width_factor=1 / 16), 32, (-0.32278, 0.4488, 13.873, 3.5855)),
        (SNGAN(width_factor=1 / 64), 64, (-0.14339, 0.69915, 0.090718, 0.013139)),
        (PGGAN(width=8, latent_dim=16), 64, (-0.3551, 1.7747, 0.09495, 0.073322)),
        (StyleGAN2(width=8, latent_dim=16), 32, (-0.0036261, 1.1358, 0.66504, 0.17913)),
    ],
)
@torch.no_grad()
def test_outputs_are_pinned(settings: ArchitectureSettings, side: int, expected: tuple[float, ...]) -> None:
    """Means and deviations of images and of raw scores of untrained networks: torch 2.13.0, CPU. A change of
    any layer, of its first weights or of the order in which they are drawn moves them."""
    with seeded_weights(0):
        networks = build_networks(settings, (3, side, side))
    G, D = networks.generator.eval(), networks.discriminator.eval()
    images = G(torch.randn(32, G.latent_dim, generator=torch.Generator().manual_seed(0)))
    scores = D(images)
    found = [value.item() for part in (images, scores) for value in (part.mean(), part.std())]
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)
