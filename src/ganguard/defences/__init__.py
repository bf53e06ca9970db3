"""Defences: what a provider does to the codes that a client sends, or to the images that it gets back."""

from ganguard.base.plugins import PluginTable

DEFENCES = PluginTable(
    "defence",
    "ganguard.defences",
    {
        "gaussian_noise": "ganguard.defences.output_noise:GaussianNoise",
        "linear_interpolation": "ganguard.defences.input_linear_interpolation:LinearInterpolation",
    },
)
