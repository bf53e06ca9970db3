"""What is wrong with the audited target, in words: the banner of a report, and a line of the terminal."""

from ganguard.results.records import AuditResults
from ganguard.results.soundness import State, soundness


def target_check(results: AuditResults) -> str:
    """Return a warning that comes before every finding; empty if the target is sound."""
    return warning_of(*soundness(results.measurements))


def warning_of(state: State, reason: str) -> str:
    """Return the same for a state and its reason."""
    if state == "broken":
        return (
            f"This target is broken: {reason}. Its copies do not show how well a working model can be "
            "copied. Check its weights, the range and order of its pixels, and that the real images are of "
            "its kind."
        )
    if state == "suspect":
        return f"This target may be broken: {reason}. Look at its images before you believe what follows."
    return ""
