"""Real images: the data sets that can be loaded, and how they are split."""

from ganguard.base.plugins import PluginTable

DATASETS = PluginTable(
    "data set",
    "ganguard.datasets",
    {
        "cifar": "ganguard.data.cifar:Cifar",
        "digits": "ganguard.data.digits:Digits",
        "fashion_mnist": "ganguard.data.fashion_mnist:FashionMnist",
        "hub": "ganguard.data.hub_images:HubImages",
        "idx": "ganguard.data.idx:IdxImages",
        "image_folder": "ganguard.data.image_folder:ImageFolder",
        "image_zip": "ganguard.data.image_zip:ImageZip",
        "lsun_lmdb": "ganguard.data.lsun_lmdb:LsunLmdb",
        "parquet": "ganguard.data.parquet_images:ParquetImages",
        "photo_patches": "ganguard.data.photo_patches:PhotoPatches",
    },
)
