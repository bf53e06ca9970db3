"""What every architecture must do, at every size that it takes, with classes and without them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganguard.architectures import ARCHITECTURES
from ganguard.architectures.drawing import Drawing
from ganguard.architectures.networks import (
    Classifying,
    ConditionalSettings,
    DiscriminatorNetwork,
    Flowing,
    GeneratorNetwork,
    Growing,
    Networks,
    StyleBased,
    build_networks,
    classes_of,
    has_discriminator,
    made_by,
    parse_architecture,
    recipe_of,
)
from ganguard.base.errors import SpecError
from ganguard.base.seeds import seeded_weights
from ganguard.training.losses import LOSSES

KINDS = sorted(ARCHITECTURES.builtin)
CLASSES = 3
CONDITIONAL = [kind for kind in KINDS if issubclass(ARCHITECTURES.load(kind), ConditionalSettings)]
BOTH = [*((kind, 0) for kind in KINDS), *((kind, CLASSES) for kind in CONDITIONAL)]
GANS = [kind for kind in KINDS if has_discriminator(parse_architecture(kind))]
BOUNDED = {"acgan", "biggan", "dcgan", "sngan"}  # by a tanh
of_both = pytest.mark.parametrize(("kind", "classes"), BOTH)
of_gans = pytest.mark.parametrize(
    ("kind", "classes"), [(kind, classes) for kind, classes in BOTH if kind in GANS]
)


def _build(kind: str, image_shape: tuple[int, int, int], classes: int = 0, seed: int = 0) -> Networks:
    said: dict[str, object] = {"kind": kind, "width": 4, **({"classes": classes} if classes else {})}
    said |= {"latent_dim": 6} if kind in GANS else {"solver_steps": 3}
    with seeded_weights(seed):
        return build_networks(parse_architecture(said), image_shape)


def _D(kind: str, image_shape: tuple[int, int, int], classes: int = 0) -> DiscriminatorNetwork:
    D = _build(kind, image_shape, classes).discriminator
    assert D is not None
    return D


def _codes(G: GeneratorNetwork, count: int) -> Tensor:
    return torch.randn(count, G.latent_dim, generator=torch.Generator().manual_seed(0))


def _labels(count: int, classes: int) -> Tensor | None:
    return torch.arange(count) % classes if classes else None


def _first(module: Callable[..., Tensor], x: Tensor, classes: int) -> Tensor:
    """Return what G or D makes of inputs that are asked for as classes 0, 1, 2, 0 …"""
    return made_by(module, x, _labels(len(x), classes))


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


@of_both
@pytest.mark.parametrize("image_shape", SIZES)
def test_shapes_fit_each_other(kind: str, classes: int, image_shape: tuple[int, int, int]) -> None:
    networks = _build(kind, image_shape, classes)
    images = _first(networks.generator, _codes(networks.generator, 3), classes)
    assert images.shape == (3, *image_shape)
    assert images.dtype == torch.float32
    D = networks.discriminator
    assert (D is None) is (kind not in GANS)
    if D is None:
        return
    assert _first(D, images, classes).shape == (3,)
    features = D.features(images)
    assert features.ndim == 2
    assert _first(D.head, features, classes).shape == (3, 1)
    assert not classes or not isinstance(D, Classifying) or D.logits(features).shape == (3, classes)


@of_both
@pytest.mark.parametrize("image_shape", [(3, 13, 21), (2, 5, 64)])
def test_every_pixel_of_a_cropped_image_is_made_and_seen(
    kind: str, classes: int, image_shape: tuple[int, int, int]
) -> None:
    networks = _build(kind, image_shape, classes)
    images = _first(networks.generator, _codes(networks.generator, 8), classes)
    assert (images.std(0) > 0).all()
    if networks.discriminator is None:
        return
    seen = images.detach().requires_grad_()
    (slope,) = torch.autograd.grad(_first(networks.discriminator, seen, classes).square().sum(), seen)
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


@of_both
def test_images_stay_in_range_whatever_the_codes(kind: str, classes: int) -> None:
    generator = _build(kind, (3, 8, 8), classes).generator
    for module in (generator.train(), generator.eval()):
        images = _first(module, 1000 * _codes(module, 8), classes)
        assert images.abs().max() <= 1 or kind not in BOUNDED
        assert torch.isfinite(images).all()


@of_both
def test_an_image_follows_from_its_code_and_class_alone_in_evaluation_mode(kind: str, classes: int) -> None:
    generator = _build(kind, (3, 16, 16), classes).generator.eval()
    if isinstance(generator, Drawing):
        generator.random = torch.Generator()
    z, y = _codes(generator, 7), _labels(7, classes)
    images = made_by(generator, z, y)
    assert torch.equal(images, made_by(generator, z, y))
    part = made_by(generator, z[2:5], None if y is None else y[2:5])
    assert torch.allclose(images[2:5], part, atol=1e-4)


@of_both
def test_codes_and_images_matter(kind: str, classes: int) -> None:
    networks = _build(kind, (1, 8, 8), classes)
    y = torch.ones(5, dtype=torch.int64) if classes else None
    images = made_by(networks.generator, _codes(networks.generator, 5), y)
    assert len(images.flatten(1).unique(dim=0)) == 5
    assert networks.discriminator is None or len(made_by(networks.discriminator, images, y).unique()) == 5


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_classes_matter(kind: str) -> None:
    """The Gs of SNGAN and of a flow begin alike for all classes, so they are changed first. ACGAN's D tells
    classes apart by its logits alone."""
    networks = _build(kind, (1, 16, 16), CLASSES)
    G, D = networks.generator, networks.discriminator
    z, y = _codes(G, 1).expand(CLASSES, -1), torch.arange(CLASSES)
    if kind in ("flow", "sngan"):
        assert torch.allclose(G.eval()(z, y)[0], G(z, y)[1], atol=1e-6)
        for name, parameter in G.named_parameters():
            if "scale" in name or (kind == "flow" and ("to_image" in name or "conv2" in name)):
                torch.nn.init.normal_(parameter, 1.0, 0.1)
    images = G.eval()(z, y)
    differs = (images[:, None] - images).abs().amax((2, 3, 4)) > 1e-4
    assert torch.equal(differs, ~torch.eye(CLASSES, dtype=torch.bool))
    if D is None:
        return
    scores = D.eval()(images[:1].expand(CLASSES, -1, -1, -1), y)
    assert bool(scores.std() < 1e-6) is isinstance(D, Classifying)


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_a_class_is_given_if_and_only_if_there_are_classes(kind: str) -> None:
    with_classes, without = _build(kind, (1, 8, 8), CLASSES), _build(kind, (1, 8, 8))
    z, images, y = _codes(without.generator, 2), torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)
    for networks, given, classes in ((with_classes, None, CLASSES), (without, y, 0)):
        for network, x in zip(networks.named().values(), (z, images), strict=False):
            with pytest.raises(ValueError, match=r"^a network of \d classes takes"):
                made_by(network, x, given)
            assert network.classes == classes


@pytest.mark.parametrize("kind", sorted(set(KINDS) - set(CONDITIONAL)))
def test_what_has_no_classes_refuses_them_in_one_line(kind: str) -> None:
    with pytest.raises(SpecError, match=rf"^{kind}\.classes: unknown key[^\n]*$"):
        parse_architecture({"kind": kind, "classes": 3})


@pytest.mark.parametrize("kind", CONDITIONAL)
@pytest.mark.parametrize("value", [-1, 1.5, "3", True, 10**6])
def test_classes_that_cannot_be_are_refused_by_name(kind: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"^{kind}\.classes: [^\n]*$"):
        parse_architecture({"kind": kind, "classes": value})


@pytest.mark.parametrize("kind", CONDITIONAL)
def test_settings_without_classes_do_not_say_so(kind: str) -> None:
    plain = parse_architecture({"kind": kind, "classes": 0})
    assert plain == parse_architecture(kind)
    assert "classes" not in plain.model_dump(mode="json")
    assert parse_architecture({"kind": kind, "classes": 3}).model_dump(mode="json")["classes"] == 3


@of_both
def test_the_global_seed_decides_the_weights(kind: str, classes: int) -> None:
    one, again, other = (_build(kind, (1, 8, 8), classes, seed).generator.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in one.items())
    assert not all(torch.equal(value, other[key]) for key, value in one.items())


@of_both
def test_every_parameter_is_trained(kind: str, classes: int) -> None:
    """In networks that grow, the layers at the image of a level are trained while it is the newest, or fades
    into the next."""
    networks = _build(kind, (1, 16, 16), classes)
    G, D, both = networks.generator, networks.discriminator, networks.named().values()
    for level in range(networks.generator.levels if isinstance(networks.generator, Growing) else 1):
        for module in both:
            if isinstance(module, Growing):
                module.set_growth(level, 0.5)
        images = _first(G, _codes(G, 4), classes)
        loss = (images if D is None else _first(D, images, classes)).square().sum()
        if classes and isinstance(D, Classifying) and isinstance(D, DiscriminatorNetwork):
            loss = loss + D.logits(D.features(images)).square().sum()
        loss.backward()
    for module in both:
        assert [name for name, p in module.named_parameters() if p.grad is None] == []


@of_gans
def test_gradients_of_gradients_reach_the_discriminator(kind: str, classes: int) -> None:
    """Penalties on D's gradient at images are differentiated once more."""
    discriminator = _D(kind, (1, 8, 8), classes)
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    scores = _first(discriminator, images, classes)
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    slope.square().sum().backward()
    found = [p.grad for p in discriminator.parameters() if p.grad is not None]
    assert any(gradient.abs().sum() > 0 for gradient in found)
    assert all(torch.isfinite(gradient).all() for gradient in found)


@of_gans
def test_the_stages_of_the_discriminator_hold_all_that_leads_to_its_features(kind: str, classes: int) -> None:
    discriminator = _D(kind, (1, 16, 16), classes)
    staged = [id(p) for stage in discriminator.stages() for p in stage.parameters()]
    assert len(staged) == len(set(staged))
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    discriminator.features(images).sum().backward()
    assert {id(p) for p in discriminator.parameters() if p.grad is not None} <= set(staged)


@of_gans
def test_rows_are_independent_where_the_discriminator_says_so(kind: str, classes: int) -> None:
    """D is in training mode, as in the loop. One with independent rows is in evaluation mode, which freezes
    its estimate of the spectral norm."""
    discriminator = _D(kind, (1, 8, 8), classes)
    discriminator.train(not discriminator.independent_rows)
    images = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    together, alone = (_first(discriminator, part, classes)[:2] for part in (images, images[:2]))
    assert torch.allclose(together, alone, atol=1e-5) is discriminator.independent_rows


@of_both
def test_settings_come_back_from_json(kind: str, classes: int) -> None:
    said = {"kind": kind, "width": 5, **({"classes": classes} if classes else {})}
    settings = parse_architecture(said)
    assert classes_of(settings) == classes
    assert parse_architecture(settings.model_dump(mode="json")) == settings


@pytest.mark.parametrize(
    ("kind", "key"),
    [(kind, key) for kind in KINDS for key in ("width", "latent_dim" if kind in GANS else "solver_steps")],
)
@pytest.mark.parametrize("value", [0, -1, 1.5, "8", True])
def test_a_size_that_cannot_be_is_refused_by_name(kind: str, key: str, value: object) -> None:
    with pytest.raises(SpecError, match=rf"^{kind}\.{key}: "):
        parse_architecture({"kind": kind, key: value})


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_can_be_followed(kind: str) -> None:
    recipe = recipe_of(parse_architecture(kind))
    assert recipe.loss in LOSSES or isinstance(_build(kind, (1, 8, 8)).generator, Flowing)
    assert recipe.n_dis >= 1
    assert 0 < recipe.learning_rate < 0.1
    assert (recipe.penalty == "none") is (recipe.penalty_weight == 0)
    assert recipe.path_length_weight == 0 or isinstance(_build(kind, (1, 8, 8)).generator, StyleBased)
