"""Attacks: each is frozen settings and one function, readable as the paper's recipe."""

from ganguard.base.plugins import PluginTable

ATTACKS = PluginTable(
    "attack",
    "ganguard.attacks",
    {
        "accuracy_partial_black_box": "ganguard.attacks.accuracy_partial_black_box:PARTIAL_BLACK_BOX",
        "accuracy_white_box": "ganguard.attacks.accuracy_white_box:WHITE_BOX",
        "distillation": "ganguard.attacks.distillation:DISTILLATION",
        "fidelity": "ganguard.attacks.fidelity:FIDELITY",
        "found": "ganguard.attacks.found_copy:FOUND_COPY",
        "given": "ganguard.attacks.existing_copy:EXISTING_COPY",
        "sorted_fidelity": "ganguard.attacks.sorted_fidelity:SORTED_FIDELITY",
        "strongest": "ganguard.attacks.strongest:STRONGEST",
        "transfer": "ganguard.attacks.transfer:TRANSFER",
    },
)
