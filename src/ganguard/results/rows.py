"""Measured numbers as a table, a row each: results.parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganguard.base.cache import atomic_path


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write measurements, each with the direction that is better, atomically.

    Raises OSError if they cannot be written.
    """
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows], schema=_ROWS), temporary)


_ROWS = pa.schema(
    [
        ("subject", pa.string()),
        ("recipe", pa.string()),
        ("attack", pa.string()),
        ("query_budget", pa.int64()),
        ("seed", pa.int64()),
        ("defence", pa.string()),
        ("adversary", pa.string()),
        ("draw", pa.int64()),
        ("metric", pa.string()),
        ("against", pa.string()),
        ("value", pa.float64()),
        ("spread", pa.float64()),
        ("better", pa.string()),
        ("images", pa.int64()),
        ("compared", pa.int64()),
    ]
)
