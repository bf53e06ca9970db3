"""Feature networks: images (N, C, H, W) uint8 -> features (N, D) float32. Here they are loaded and run, never trained."""

from ganguard.base.plugins import PluginTable

FEATURES = PluginTable(
    "feature network",
    "ganguard.features",
    {
        "classifier": "ganguard.metrics.features.classifier:Classifier",
        "random_network": "ganguard.metrics.features.random_network:RandomNetwork",
    },
)
