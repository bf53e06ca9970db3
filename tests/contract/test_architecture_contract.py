"""What every architecture must do, at every size that it takes."""

import pytest
import torch

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.networks import (
    Growing,
    Networks,
    StyleBased,
    build_networks,
    parse_architecture,
    recipe_of,
)
from ganguard.base.errors import SpecError
from ganguard.base.seeds import seeded_weights
from ganguard.training.losses import LOSSES

KINDS = sorted(ARCHITECTURES.builtin)
BOUNDED = {"dcgan", "sngan"}  # by a tanh


def _build(kind: str, image_shape: tuple[int, int, int], seed: int = 0) -> Networks:
    with seeded_weights(seed):
        return build_networks(parse_architecture({"kind": kind, "width": 4, "latent_dim": 6}), image_shape)


SIZES = [
    *((channels, side, side) for channels in (1, 3) for side in (8, 14, 48)),
    *((channels, 12, 20) for channels in (1, 2, 3, 4)),
    (3, 48, 80),
    (1, 20, 12),
    (3, 31, 31),  # one less than what is built
    (4, 33, 33),  # one more than what could be built, so 40
    (1, 5, 64),
    (2, 64, 5),
    (1, 1, 1),
    (3, 4, 6),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image_shape", SIZES)
def test_shapes_fit_each_other(kind: str, image_shape: tuple[int, int, int]) -> None:
    networks = _build(kind, image_shape)
    images = networks.generator(torch.randn(3, 6, generator=torch.Generator().manual_seed(0)))
    assert images.shape == (3, *image_shape)
    assert images.dtype == torch.float32
    assert networks.discriminator(images).shape == (3,)
    features = networks.discriminator.features(images)
    assert features.ndim == 2
    assert networks.discriminator.head(features).shape == (3, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("image_shape", [(3, 13, 21), (2, 5, 64)])
def test_every_pixel_of_a_cropped_image_is_made_and_seen(
    kind: str, image_shape: tuple[int, int, int]
) -> None:
    networks = _build(kind, image_shape)
    images = networks.generator(torch.randn(8, 6, generator=torch.Generator().manual_seed(0)))
    assert (images.std(0) > 0).all()
    seen = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(networks.discriminator(seen).square().sum(), seen)
    assert (slope.abs().sum(0) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [0, 5])
def test_images_have_one_to_four_channels(kind: str, channels: int) -> None:
    with pytest.raises(SpecError, match=f"^{kind} makes images of 1 to 4 channels; got {channels}"):
        _build(kind, (channels, 8, 8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("height", "width"), [(0, 8), (8, 0), (8193, 8), (8, 8193)])
def test_sides_have_pixels_and_not_too_many(kind: str, height: int, width: int) -> None:
    with pytest.raises(SpecError, match=rf"^{kind} makes .* 1 to 8192 pixels; got {height}x{width}"):
        _build(kind, (3, height, width))


@pytest.mark.parametrize("kind", KINDS)
def test_images_stay_in_range_whatever_the_codes(kind: str) -> None:
    generator = _build(kind, (3, 8, 8)).generator
    for module in (generator.train(), generator.eval()):
        images = module(1000 * torch.randn(8, 6, generator=torch.Generator().manual_seed(0)))
        assert images.abs().max() <= 1 or kind not in BOUNDED
        assert torch.isfinite(images).all()


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_follows_from_its_code_alone_in_evaluation_mode(kind: str) -> None:
    generator = _build(kind, (3, 16, 16)).generator.eval()
    if isinstance(generator, StyleBased):
        generator.random = torch.Generator()
    z = torch.randn(7, 6, generator=torch.Generator().manual_seed(0))
    images = generator(z)
    assert torch.equal(images, generator(z))
    assert torch.allclose(images[2:5], generator(z[2:5]), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_images_matter(kind: str) -> None:
    networks = _build(kind, (1, 8, 8))
    images = networks.generator(torch.randn(5, 6, generator=torch.Generator().manual_seed(0)))
    assert len(images.flatten(1).unique(dim=0)) == 5
    assert len(networks.discriminator(images).unique()) == 5


@pytest.mark.parametrize("kind", KINDS)
def test_the_global_seed_decides_the_weights(kind: str) -> None:
    one, again, other = (_build(kind, (1, 8, 8), seed).generator.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in one.items())
    assert not all(torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_is_trained(kind: str) -> None:
    """In networks that grow, the layers at the image of a level are trained while it is the newest, or fades
    into the next."""
    networks = _build(kind, (1, 16, 16))
    both = (networks.generator, networks.discriminator)
    z = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    for level in range(networks.generator.levels if isinstance(networks.generator, Growing) else 1):
        for module in both:
            if isinstance(module, Growing):
                module.set_growth(level, 0.5)
        networks.discriminator(networks.generator(z)).square().sum().backward()
    for module in both:
        assert [name for name, p in module.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_gradients_reach_the_discriminator(kind: str) -> None:
    """Penalties on D's gradient at images are differentiated once more."""
    discriminator = _build(kind, (1, 8, 8)).discriminator
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(images).sum(), images, create_graph=True)
    slope.square().sum().backward()
    found = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert any(gradient.abs().sum() > 0 for gradient in found)
    assert all(torch.isfinite(gradient).all() for gradient in found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_stages_of_the_discriminator_hold_all_that_leads_to_its_features(kind: str) -> None:
    discriminator = _build(kind, (1, 16, 16)).discriminator
    staged = [id(p) for stage in discriminator.stages() for p in stage.parameters()]
    assert len(staged) == len(set(staged))
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    discriminator.features(images).sum().backward()
    assert {id(p) for p in discriminator.parameters() if p.grad is not None} <= set(staged)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_independent_where_the_discriminator_says_so(kind: str) -> None:
    """D is in training mode, as in the loop. One with independent rows is in evaluation mode, which freezes
    its estimate of the spectral norm."""
    discriminator = _build(kind, (1, 8, 8)).discriminator
    discriminator.train(not discriminator.independent_rows)
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    together, alone = discriminator(images)[:2], discriminator(images[:2])
    assert torch.allclose(together, alone, atol=1e-5) is discriminator.independent_rows


@pytest.mark.parametrize("kind", KINDS)
def test_settings_come_back_from_json(kind: str) -> None:
    settings = parse_architecture({"kind": kind, "width": 5})
    assert parse_architecture(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["width", "latent_dim"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True])
def test_a_size_that_cannot_be_is_refused_by_name(kind: str, key: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"^{kind}\.{key}: "):
        parse_architecture({"kind": kind, key: value})


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_can_be_followed(kind: str) -> None:
    recipe = recipe_of(parse_architecture(kind))
    assert recipe.loss in LOSSES
    assert recipe.n_dis >= 1
    assert 0 < recipe.learning_rate < 0.1
    assert (recipe.penalty == "none") is (recipe.penalty_weight == 0)
    assert recipe.path_length_weight == 0 or isinstance(_build(kind, (1, 8, 8)).generator, StyleBased)
