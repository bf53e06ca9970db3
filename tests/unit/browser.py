"""A page in a browser without a screen: how wide it comes out, and whether its images are drawn."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHROMIUM = shutil.which("chromium")
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--allow-file-access-from-files",
    "--virtual-time-budget=3000",
]
_MEASURE = (
    "const d=f.contentDocument,e=d.documentElement,i=[...d.images];"
    "document.title=[e.scrollWidth,e.clientWidth,i.length,i.every(x=>x.naturalWidth>0)].join(' ')"
)


@dataclass(frozen=True)
class Layout:
    """How a page came out.

    Attributes:
        wide: CSS pixels that its content takes.
        room: CSS pixels that there are for it.
        images: its images.
        drawn: whether all of them were drawn.
    """

    wide: int
    room: int
    images: int
    drawn: bool


def layout(page: str, folder: Path, width: int) -> Layout:
    """Chromium lays a page out within a frame of that width, and tells how it came out."""
    (folder / "page.html").write_text(page)
    frame = folder / "frame.html"
    frame.write_text(
        f'<iframe id="f" src="page.html" style="width:{width}px;height:900px;border:0" '
        f'onload="{_MEASURE}"></iframe>'
    )
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(CHROMIUM), *_OPTIONS, profile, "--dump-dom", frame.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"<title>(\d+) (\d+) (\d+) (\w+)</title>", dumped)
    assert found, dumped[:500]
    return Layout(int(found[1]), int(found[2]), int(found[3]), found[4] == "true")
