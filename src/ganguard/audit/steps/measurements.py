"""Write the measurements of a step, and read them back."""

import json
from pathlib import Path
from typing import Any

from ganguard.base.cache import write_json
from ganguard.results.records import Measurement

MEASUREMENTS = "measurements.json"
DRAWS = 2  # independent sets of images that each generator is measured by


def write_measurements(directory: Path, measurements: list[Measurement]) -> list[dict[str, Any]]:
    """Write measurements.json, and return what it says."""
    dumped = [measurement.model_dump(mode="json") for measurement in measurements]
    write_json(directory / MEASUREMENTS, dumped)
    return dumped


def read_measurements(directory: Path) -> list[Measurement]:
    """The measurements that a step of this file wrote."""
    return [Measurement.model_validate(row) for row in json.loads((directory / MEASUREMENTS).read_text())]
