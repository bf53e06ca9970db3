"""Files of CIFAR's binary form, written without ganguard."""

import io
import tarfile
from pathlib import Path

import numpy as np

TRAIN = {"cifar10": [f"data_batch_{number}.bin" for number in range(1, 6)], "cifar100": ["train.bin"]}
TEST = {"cifar10": "test_batch.bin", "cifar100": "test.bin"}
NAMES = {
    "cifar10": {"batches.meta.txt": [f"thing {number}" for number in range(10)]},
    "cifar100": {
        "coarse_label_names.txt": [f"sort {number}" for number in range(20)],
        "fine_label_names.txt": [f"thing {number}" for number in range(100)],
    },
}


def records(which: str, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (count, 1 or 2), coarse before fine, and images (count, 3, 32, 32)."""
    generator = np.random.default_rng(seed)
    fine = (np.arange(count) + seed) % (10 if which == "cifar10" else 100)
    labels = fine[:, None] if which == "cifar10" else np.stack([fine // 5, fine], 1)
    return labels.astype(np.uint8), generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def write_cifar(folder: Path, which: str = "cifar10", count: int = 4) -> Path:
    """Write all files of a set, with `count` records each, the file number being the seed."""
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate([*TRAIN[which], TEST[which]]):
        labels, images = records(which, count, seed)
        (folder / name).write_bytes(np.concatenate([labels, images.reshape(count, -1)], 1).tobytes())
    for name, lines in NAMES[which].items():
        (folder / name).write_text("\n".join([*lines, "", ""]))
    return folder


def cifar_archive(folder: Path) -> bytes:
    """The files of a folder in a tar of gzip, below a folder."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.add(folder, "cifar-batches-bin")
    return content.getvalue()
