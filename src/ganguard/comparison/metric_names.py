"""The names of numbers, as a user gives them."""

from ganguard.base.errors import SpecError, unknown_name
from ganguard.results.measures import MEASURES, of_two_sets

ALIASES = {
    "fid": "frechet_distance_unscaled",
    "fd": "frechet_distance",
    "fid_infinity": "frechet_distance_infinity",
    "fd_infinity": "frechet_distance_infinity",
    "fd_dinov2": "frechet_distance_unscaled",
    "mmd": "kernel_distance",
    "clip_mmd": "cmmd",
    "is": "inception_score",
    "isc": "inception_score",
    "prdc": "precision,recall,density,coverage",
    "prc": "precision,recall",
    "pr": "precision,recall",
    "dc": "density,coverage",
    "ndb_jsd": "ndb,jsd",
    "ms_ssim": "ssim",
    "mse": "psnr",
    "intra_fid": "intra_fd",
    "wcfid": "intra_fd",
    "gan_test": "class_consistency",
    "class_accuracy": "class_consistency",
    "mode_coverage": "class_coverage",
    "modes": "class_coverage",
    "memorization": "authenticity",
    "memorisation": "authenticity",
    "brisque": "niqe",
}
"""What other programs call a number, or several -> our names."""


def named_metrics(metrics: str) -> tuple[list[str], bool]:
    """Return the names that a text lists, and whether it says "all". Raises SpecError for an unknown one."""
    names, known = [name.strip() for name in metrics.split(",")], [m.name for m in of_two_sets()]
    for name in names:
        if name not in ("all", *known):
            raise SpecError(_unknown(name, ["all", *known]))
    every = "all" in names
    return known if every else list(dict.fromkeys(names)), every


def _unknown(name: str, known: list[str]) -> str:
    """Return what is said of a name that is none of ours."""
    if not name:
        return "--metrics: a name is empty. Write names with commas between, without one at the end."
    plain = name.lower().replace("-", "_")
    if plain in ("lpips", "dists"):
        return (
            f"{name} cannot be measured: its package needs torchvision. Of pairs of images measure ssim, of "
            "sets frechet_distance, a distance of features."
        )
    if plain in MEASURES and plain not in known:
        return (
            f"{name} needs a third set of images, and only audits have one. Measure authenticity or "
            "near_copies."
        )
    if meant := ALIASES.get(plain) or (plain if plain in known else ""):
        return f"unknown metric {name!r}; did you mean {meant!r}? Known: {', '.join(sorted(known))}"
    return unknown_name("metric", name, known)
