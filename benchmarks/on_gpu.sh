#!/usr/bin/env bash
# Speeds and loops on a GPU, within eight minutes after installation (`pip install 'ganguard[dp]'`, or an editable
# install of this repository):
#   benchmarks/on_gpu.sh OUT [--cifar PATH] [--smoke]
# LIMIT=SECONDS changes the limit. OUT keeps what is done; the same command goes on after a kill or the limit. The table is also in OUT/table.txt.
set -euo pipefail
out=${1:?"usage: benchmarks/on_gpu.sh OUT [--cifar PATH] [--smoke]"}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$out"
export PYTHONPATH="$here/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 TORCHINDUCTOR_CACHE_DIR="$out/compiled"
timeout --signal=INT "${LIMIT:-480}" "${PYTHON:-python}" "$here/benchmarks/on_gpu.py" --out "$out" "$@" | tee "$out/table.txt"
