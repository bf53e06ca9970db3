"""Write the measurements of a step, and read them back."""

import json
from pathlib import Path

from ganguard.base.cache import write_json
from ganguard.results.records import Measurement

MEASUREMENTS = "measurements.json"
DRAWS = 2  # independent sets of images that each generator is measured by

MEASURES = (
    "ganguard.base",
    "ganguard.comparison.compare",
    "ganguard.comparison.embedding",
    "ganguard.comparison.values",
    "ganguard.metrics",
    "ganguard.results.measure",
    "ganguard.results.measures",
    "ganguard.results.measures_of_codes",
    "ganguard.results.records",
    "ganguard.results.whose",
    "ganguard.audit.steps.measurements",
)
"""Code that the result of every step that measures depends on."""


def write_measurements(directory: Path, measurements: list[Measurement]) -> list[dict[str, object]]:
    """Write measurements.json, and return its content, for a digest."""
    dumped = [measurement.model_dump(mode="json") for measurement in measurements]
    write_json(directory / MEASUREMENTS, dumped)
    return dumped


def read_measurements(directory: Path) -> list[Measurement]:
    """Return the measurements that a step wrote."""
    return [Measurement.model_validate(row) for row in json.loads((directory / MEASUREMENTS).read_text())]
