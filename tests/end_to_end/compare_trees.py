"""Run the same audits with two source trees, and list every result that differs.

    git worktree add ../before REVISION
    python tests/end_to_end/compare_trees.py ../before . --out /tmp/compared

Rows of results.json are compared as sets, whatever their order: times, versions and the fields in `LEFT_OUT`
apart. Audits that are done are not run again. `digits-http` is served by the tree that audits it, from the
target of `digits`.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganguard.audit.steps.target_files import SECRET

NETWORK = "architecture: {kind: dcgan, width: 4}, steps: 4, batch_size: 16"
TRANSFER = f"""
target: {{train: {{dataset: {{kind: digits, classes: [0, 1, 2, 3, 4]}}, {NETWORK}}}}}
real: {{kind: digits, classes: [0, 1, 2, 3, 4]}}
features: random_network
attacks:
  - {{kind: fidelity, query_budget: 40, {NETWORK}}}
  - {{kind: transfer, query_budget: 40, {NETWORK}, domain: {{kind: digits, classes: [5, 6, 7, 8, 9]}},
      domain_images: [20, null], method: [fine_tune, freeze_d, scratch], transfer_steps: 4}}
samples: 60
even_if: target_broken
"""
AVERAGING = f"""
target: {{train: {{dataset: digits, {NETWORK}}}}}
real: digits
features: random_network
codes: client
attacks: [{{kind: fidelity, query_budget: [60, 120], {NETWORK}}}]
defences:
  - {{kind: gaussian_noise, std: [0.2, 0.3]}}
  - [{{kind: linear_interpolation}}, {{kind: jpeg, quality: 30}}]
  - {{kind: semantic_interpolation, attribute: slant, amount: 2}}
adversaries: [naive, {{kind: through_defence, scale: [0.5, 1]}}, {{kind: averaging, copies: [4, 8]}}]
seeds: [0, 1]
samples: 60
even_if: target_broken
"""
SPECS = {"transfer-test": TRANSFER, "averaging-test": AVERAGING}
PRESETS = ("digits-accuracy-quick", "digits-defences-quick", "digits", "digits-http")
LEFT_OUT = {
    "attacks": ("knows",),  # not in results of before 0.1.0
    "defences": ("identity",),  # holds the code's version
    "steps": ("seconds",),
}
PORT = 8123
VERB = "import sys; sys.argv[0] = 'ganguard'; from ganguard.cli.main import main; main()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--audits", default=",".join((*SPECS, *PRESETS)))
    chosen = parser.parse_args()
    names = chosen.audits.split(",")
    found = {side: chosen.out / side for side in ("before", "after")}
    for side, out in found.items():
        for name in names:
            run(getattr(chosen, side).resolve(), out.resolve(), name)
    differing = sum(compare(*found.values(), results) for results in all_results(found["before"]))
    sys.exit(differing > 0)


def run(tree: Path, out: Path, name: str) -> None:
    """Run one audit with the source of a tree, into `out`/name."""
    print(f"{out.name}: {name}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    if name == "digits-http":
        with served(tree, out) as key:
            address = f"target.url=http://127.0.0.1:{PORT}"
            ganguard(tree, out, "audit", name, "--set", address, "--out", name, key=key)
        return
    if name in SPECS:
        (out / f"{name}.yaml").write_text(SPECS[name])
    ganguard(tree, out, "audit", f"{name}.yaml" if name in SPECS else name, "--out", name)


@contextmanager
def served(tree: Path, out: Path) -> Iterator[str]:
    """Serve the target of the audit `digits`, and give a key that may buy from it."""
    state = out / "gateway"
    state.mkdir(mode=0o700, exist_ok=True)
    (state / "secret").touch(0o600)
    (state / "secret").write_bytes(SECRET)  # so that noise is that of an audit at home
    spec = state / "gateway.yaml"
    spec.write_text(
        json.dumps(
            {
                "target": {"checkpoint": str(out / "digits" / "checkpoints" / "target")},
                "directory": str(state),
                "port": PORT,
            }
        )
    )
    may = ("--budget", "40000", "--choose-seed", "--most-images", "128")
    made = ganguard(tree, out, "keys", "create", str(spec), "--account", "buyer", *may)
    key = next(word for word in made.split() if word.startswith("gg_"))
    with subprocess.Popen(
        command(tree, "serve", str(spec)), env=environment(tree), stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()  # it listens
            time.sleep(1)
            yield key
        finally:
            server.terminate()


def command(tree: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-c", VERB, *arguments]


def environment(tree: Path, key: str = "") -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(tree / "src"), "GANGUARD_KEY": key}


def ganguard(tree: Path, out: Path, *arguments: str, key: str = "") -> str:
    done = subprocess.run(
        command(tree, *arguments),
        cwd=out,
        env=environment(tree, key),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stderr}")
    return done.stdout


def all_results(out: Path) -> list[Path]:
    """Paths of all results.json below a directory, relative to it."""
    return sorted(path.relative_to(out) for path in out.rglob("results.json"))


def compare(before: Path, after: Path, results: Path) -> int:
    """Print what differs between two results.json, and return how many rows do."""
    one, other = (comparable(json.loads((side / results).read_text())) for side in (before, after))
    differing = 0
    for part in sorted(one.keys() | other.keys()):
        only_before, only_after = (
            one.get(part, set()) - other.get(part, set()),
            other.get(part, set()) - one.get(part, set()),
        )
        differing += max(len(only_before), len(only_after))
        for sign, rows in (("-", only_before), ("+", only_after)):
            for row in sorted(rows)[:10]:
                print(f"  {part} {sign} {row[:400]}")
    rows, measured = sum(map(len, one.values())), len(one["measurements"])
    print(f"{results.parent}: {rows:,} rows, of which {measured:,} measurements; {differing} differ")
    return differing


def comparable(results: dict[str, Any]) -> dict[str, set[str]]:
    """Rows of results as JSON texts, by part, without what may differ."""
    del results["environment"]
    rows = {part: value if isinstance(value, list) else [value] for part, value in results.items()}
    for part, left_out in LEFT_OUT.items():
        for row in rows[part]:
            for field in left_out:
                row.pop(field, None)
    return {part: {json.dumps(row, sort_keys=True) for row in of_part} for part, of_part in rows.items()}


if __name__ == "__main__":
    main()
