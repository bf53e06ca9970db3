"""Attacks: each is frozen settings and one function, readable as the paper's recipe."""

from ganguard.base.plugins import PluginTable

ATTACKS = PluginTable("attack", "ganguard.attacks", {"fidelity": "ganguard.attacks.fidelity:FIDELITY"})
