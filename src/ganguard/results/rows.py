"""Measured numbers as a table, a row each: results.parquet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ganguard.base.cache import atomic_path


def write_rows(rows: Sequence[Mapping[str, Any]], whence: Mapping[str, str], path: Path) -> None:
    """Write measurements, each with the direction that is better, atomically.

    The column `condition` is left out if no number is of one condition, and `ask` if none is of images that
    were asked for otherwise than uniformly.

    Args:
        rows: the measurements.
        whence: where they come from: columns that are equal in every row, so that tables of several audits
            can be joined, and metadata of the file, which an empty table has too.
        path: the file.

    Raises OSError if they cannot be written.
    """
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=_ROWS)
    for name in ("condition", "ask"):
        if any(row.get(name) is not None for row in rows):
            column = pa.array([row.get(name) for row in rows], pa.string())
            table = table.add_column(table.column_names.index("value"), name, column)
    for name, text in whence.items():
        once = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), pa.int32()), pa.array([text]))
        table = table.append_column(name, once)
    metadata = {f"ganguard.{name}": text for name, text in whence.items()}
    with atomic_path(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary)


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
