"""Real images: where they come from, and how they are split."""

from ganguard.base.plugins import PluginTable

DATASETS = PluginTable(
    "data set",
    "ganguard.datasets",
    {
        "digits": "ganguard.data.digits:Digits",
        "image_folder": "ganguard.data.image_folder:ImageFolder",
        "photo_patches": "ganguard.data.photo_patches:PhotoPatches",
    },
)
