"""BatchNorm by class and by vector against BatchNorm and plain arithmetic."""

import torch
from torch import Tensor, nn

from ganguard.architectures.biggan import BigGAN
from ganguard.architectures.conditional_layers import ClassBatchNorm, ConditionedBatchNorm, projection
from ganguard.architectures.sngan import SNGAN


def _x(count: int = 6) -> Tensor:
    return 3 * torch.randn(count, 4, 3, 5, generator=torch.Generator().manual_seed(0)) + 1


def test_each_image_has_the_scale_and_shift_of_its_class() -> None:
    layer, plain, y = ClassBatchNorm(4, 3), nn.BatchNorm2d(4, affine=False), torch.tensor([0, 2, 1, 1, 0, 2])
    assert torch.allclose(layer(_x(), y), plain(_x()))
    nn.init.normal_(layer.scale.weight)
    nn.init.normal_(layer.shift.weight)
    found, normal = layer(_x(), y), plain(_x())
    for image, number in enumerate(y.tolist()):
        scale, shift = (w.weight[number][:, None, None] for w in (layer.scale, layer.shift))
        assert torch.allclose(found[image], normal[image] * scale + shift, atol=1e-5)


def test_a_vector_scales_and_shifts_by_linear_layers() -> None:
    layer, plain = ConditionedBatchNorm(4, 2, lambda made: made), nn.BatchNorm2d(4, affine=False)
    vector = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))
    scale, shift = (vector @ w.weight.T for w in (layer.scale, layer.shift))
    wanted = plain(_x()) * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
    assert torch.allclose(layer(_x(), vector), wanted, atol=1e-5)


def test_several_devices_share_the_statistics_and_keep_the_classes() -> None:
    """What they share replaces BatchNorm, wherever it is."""
    for settings in (SNGAN(width=4, classes=3), BigGAN(width=2, latent_dim=8, classes=3)):
        G = settings.build((1, 8, 8)).generator.eval()
        for name, parameter in G.named_parameters():
            if "scale" in name or "shift" in name:
                nn.init.normal_(parameter, 1.0, 0.3)
        z, y = torch.randn(3, G.latent_dim), torch.arange(3)
        before = G(z, y)
        shared = nn.SyncBatchNorm.convert_sync_batchnorm(G)
        assert any(isinstance(module, nn.SyncBatchNorm) for module in shared.modules())
        assert not any(isinstance(module, nn.BatchNorm2d) for module in shared.modules())
        assert torch.allclose(shared(z, y), before, atol=1e-6)


def test_the_projection_is_the_inner_product() -> None:
    features, embedded = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [-1.0, 0.5]])
    assert torch.equal(projection(features, embedded), torch.tensor([[17.0], [-1.0]]))
