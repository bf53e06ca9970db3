"""Where and on what an audit ran, in print."""

from ganguard.report.by_class import conditions_in_words
from ganguard.report.findings import seeds
from ganguard.report.numbers import counted, whole
from ganguard.report.words import MEASURED_AGAINST
from ganguard.results.records import AuditResults
from ganguard.results.skipped import decided, made_rgb, said_of

_SEEN = "seen before a white background"
_COLOURS = {
    1: "grey",
    2: f"grey with opacity; {_SEEN}",
    3: "colour",
    4: f"colour with opacity; {_SEEN}",
}
"""What the channels of images are, by their number."""


def facts(results: AuditResults) -> list[tuple[str, str]]:
    """Return where and on what the audit ran, as pairs of a name and a value."""
    here, features, target = results.environment, results.features, results.target
    channels, height, width = target.image_shape
    held_out = features.held_out_accuracy
    accuracy = "" if held_out is None else f"; right on {held_out:.1%} of held-out real images"
    why = f"; {features.why}" if features.why else ""
    split = ", ".join(f"{whole(count)} in {name}" for name, count in results.real_images.items())
    return [
        ("target", target.description),
        ("target's identity", target.identity),
        ("distances to the target", MEASURED_AGAINST[target.measured_against]),
        ("images", f"{height}×{width} pixels, {_COLOURS[channels]}"),
        ("codes drawn by", f"the {target.codes}"),
        *((("conditions", asked),) if (asked := conditions_in_words(results)) else ()),
        ("real images", f"{results.real} ({split})"),
        *(("images left out", said) for record in results.skipped if (said := said_of(record))),
        *(("channels", said) for record in results.skipped if (said := made_rgb(record))),
        *(("files", said) for record in results.skipped if (said := decided(record))),
        ("features", f"{features.kind}, {whole(features.dimensions)} dimensions{accuracy}{why}"),
        *((("scale of the features", features.note),) if features.note else ()),
        ("seeds of the copies", ", ".join(str(seed) for seed in seeds(results)) or "no copy was measured"),
        (
            "versions",
            f"ganguard {here.ganguard}, Python {here.python}, PyTorch {here.torch}, NumPy {here.numpy}",
        ),
        ("machine", f"{here.platform}; {here.processor}, {counted(here.cores, 'core')}"),
        (
            "run on",
            f"{here.device}, {counted(here.processes, 'process', 'processes')} of "
            f"{counted(here.threads, 'thread')}",
        ),
    ]
