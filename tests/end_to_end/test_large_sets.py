"""Sets of images that are larger than the memory that measuring them may take."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

COUNT, SIDE = 8000, 256  # 1.5 GiB a set
MOST = 1 << 30  # bytes of memory that are not a map of a file


def _write(path: Path, seed: int) -> None:
    """Write images of noise into an archive, a part at a time."""
    images = np.lib.format.open_memmap(
        path.with_suffix(".npy"), mode="w+", dtype=np.uint8, shape=(COUNT, SIDE, SIDE, 3)
    )
    for start in range(0, COUNT, 500):
        images[start : start + 500] = np.random.default_rng([seed, start]).integers(
            0, 256, (500, SIDE, SIDE, 3), dtype=np.uint8
        )
    images.flush()
    del images
    subprocess.run(
        ["python3", "-m", "zipfile", "-c", path.name, f"{path.stem}.npy"], cwd=path.parent, check=True
    )
    path.with_suffix(".npy").unlink()


def _peak(process: subprocess.Popen[str], peak: list[int]) -> None:
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            return
        anonymous = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
        peak[0] = max([peak[0], *(1024 * int(kilobytes) for kilobytes in anonymous)])
        time.sleep(0.05)


@pytest.mark.proof
def test_archives_of_three_gigabytes_are_measured_in_one(tmp_path: Path) -> None:
    """psnr and ssim of pairs, which every image of both sets enters."""
    for number, name in enumerate("ab"):
        _write(tmp_path / f"{name}.npz", number)
    command = ["measure", "a.npz", "b.npz", "--samples", str(COUNT), "--metrics", "psnr"]
    code = f"import sys; sys.argv = ['ganguard', *{command!r}]; from ganguard.cli.main import main; main()"
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    peak = [0]
    watching = threading.Thread(target=_peak, args=(process, peak))
    watching.start()
    said = json.loads(process.communicate()[0])
    watching.join()
    print(f"{said['images']} images, peak {peak[0] / 2**20:,.0f} MiB, {time.monotonic() - began:.0f} s")  # noqa: T201
    assert said["images"] == [COUNT, COUNT]
    assert said["psnr"] == pytest.approx(10 * np.log10(255**2 / (256**2 / 6)), abs=0.05)
    assert peak[0] < MOST
