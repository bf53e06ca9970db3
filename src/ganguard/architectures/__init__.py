"""Generators and discriminators, one file a paper; resolution and channels are arguments."""

from ganguard.base.plugins import PluginTable

ARCHITECTURES = PluginTable(
    "architecture",
    "ganguard.architectures",
    {
        "dcgan": "ganguard.architectures.dcgan:DCGAN",
        "sngan": "ganguard.architectures.sngan:SNGAN",
    },
)
