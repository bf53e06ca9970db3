"""Generators and discriminators, one file per paper. Resolution and channels are arguments."""

from ganguard.base.plugins import PluginTable

ARCHITECTURES = PluginTable(
    "architecture",
    "ganguard.architectures",
    {
        "acgan": "ganguard.architectures.acgan:ACGAN",
        "biggan": "ganguard.architectures.biggan:BigGAN",
        "dcgan": "ganguard.architectures.dcgan:DCGAN",
        "flow": "ganguard.architectures.flow:Flow",
        "pggan": "ganguard.architectures.pggan:PGGAN",
        "sngan": "ganguard.architectures.sngan:SNGAN",
        "stylegan2": "ganguard.architectures.stylegan2:StyleGAN2",
    },
)
