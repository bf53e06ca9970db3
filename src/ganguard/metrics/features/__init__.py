"""Feature networks: images (N, C, H, W) uint8 -> features (N, D) float32.

They are loaded and run here, never trained.
"""

from ganguard.base.plugins import PluginTable

FEATURES = PluginTable(
    "feature network",
    "ganguard.features",
    {
        "classifier": "ganguard.metrics.features.classifier:Classifier",
        "clip": "ganguard.metrics.features.clip:Clip",
        "dinov2": "ganguard.metrics.features.huggingface:DinoV2",
        "efficientnet_lite0": "ganguard.metrics.features.efficientnet:EfficientNetLite0",
        "huggingface": "ganguard.metrics.features.huggingface:HuggingFace",
        "inception": "ganguard.metrics.features.inception:Inception",
        "random_network": "ganguard.metrics.features.random_network:RandomNetwork",
        "torchscript": "ganguard.metrics.features.torchscript:TorchScript",
    },
)
