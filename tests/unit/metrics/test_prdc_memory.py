"""What precision and recall of large sets take above their inputs, in a process of its own, whose peak is its
own."""

import subprocess
import sys

import pytest

MEASURED = """
from pathlib import Path
import torch
from ganguard.metrics import precision_recall_density_coverage

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024  # ru_maxrss is the parent's too

a, b = (torch.randn(20_000, 2048, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
before = peak()
precision_recall_density_coverage(a, b)
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_is_a_few_tiles_whatever_the_size() -> None:
    """In megabytes; results of pairs that were kept one by one amid their differences had split the heap, and
    took 800."""
    said = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert float(said.stdout) < 300
