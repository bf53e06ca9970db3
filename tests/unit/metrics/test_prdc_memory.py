"""The memory of precision and recall of large sets above their inputs.

It is measured in a process of its own, since the peak is that of the whole process.
"""

import subprocess
import sys

import pytest

MEASURED = """
from pathlib import Path
import torch
from ganguard.metrics import precision_recall_density_coverage

def peak():
    # Not ru_maxrss, which includes the parent's.
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

a, b = (torch.randn(20_000, 2048, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
before = peak()
precision_recall_density_coverage(a, b)
print(peak() - before)
"""


@pytest.mark.slow
def test_memory_is_a_few_tiles_whatever_the_size() -> None:
    """In megabytes; 800 when results were kept one by one amid differences, which fragmented the heap."""
    said = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
    assert float(said.stdout) < 300
