"""Defences: what a provider does to the codes that a client sends, or to the images that it gets back."""

from ganguard.base.plugins import PluginTable

DEFENCES = PluginTable(
    "defence",
    "ganguard.defences",
    {
        "adversarial_noise": "ganguard.defences.output_adversarial_noise:AdversarialNoise",
        "carlini_wagner": "ganguard.defences.output_carlini_wagner:CarliniWagner",
        "gaussian_filter": "ganguard.defences.output_filter:GaussianFilter",
        "gaussian_noise": "ganguard.defences.output_noise:GaussianNoise",
        "jpeg": "ganguard.defences.output_jpeg:Jpeg",
        "linear_interpolation": "ganguard.defences.input_linear_interpolation:LinearInterpolation",
        "median_filter": "ganguard.defences.output_filter:MedianFilter",
        "semantic_interpolation": "ganguard.defences.input_semantic_interpolation:SemanticInterpolation",
    },
)
