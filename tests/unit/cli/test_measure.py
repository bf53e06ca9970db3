"""`ganguard measure`: what it prints, and what it needs for that."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., tuple[int, str, str]]
MEASURE = """
import sys
sys.argv = ["ganguard", "measure", "digits", "digits", "--samples", "20", "--metrics", "all"]
from ganguard.cli.main import main
try:
    main()
finally:
    print(sorted(name for name in sys.modules if name.startswith(ROOMS)), file=sys.stderr)
"""
ROOMS = ("ganguard.attacks", "ganguard.training", "ganguard.audit", "ganguard.gateway", "ganguard.report")


def test_it_imports_neither_attacks_nor_training(tmp_path: Path) -> None:
    code = f"ROOMS = {ROOMS!r}\n{MEASURE}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert json.loads(done.stdout)["frechet_distance"] < 1e-9
    assert done.stderr.splitlines()[-1] == "[]"


def test_it_prints_numbers_and_beside_them_their_standard_errors(cli: Cli) -> None:
    code, out, _ = cli(
        "measure", "digits", "digits", "--samples", "100", "--metrics", "frechet_distance,copies,niqe,all"
    )
    assert code == 0
    said = json.loads(out)
    assert (said["A"], said["B"], said["images"]) == ("digits", "digits", [100, 100])
    assert said["frechet_distance"] < 1e-9 and (said["copies"], said["ssim"]) == (1, 1)
    assert said["spread"]["frechet_distance"] > 0 and 0 < said["spread"]["copies"] < 0.02
    assert said["not_measured"]["niqe"] and "niqe" not in said and "niqe" not in said["spread"]
    assert said["images_judged"] == {}
