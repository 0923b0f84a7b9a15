#!/usr/bin/env bash
# CrossHair 0.0.113 confirms, over all paths, what NumPy's integers do not do.
#
# A function passes a Python int to numpy.multiply and asserts the exact product. On the machine
# NumPy computes in int64 and wraps: 8 · 2^60 becomes −2^63. The symbolic int that CrossHair passes
# is to NumPy an object, whose product is computed by Python, without a limit; so "Confirmed over all
# paths" is about arithmetic that never runs. No warning, exit code 0. Seen 2026-11-29 with
# crosshair-tool 0.0.113, z3-solver 5.4.1.0, numpy 2.4.6 on Python 3.11; 0.0.112 does the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install -q crosshair-tool==0.0.113 z3-solver==5.4.1.0 numpy==2.4.6

cat > eight.py <<'PY'
import numpy as np


def eightfold(n: int) -> int:
    """
    pre: 0 <= n <= 2**60
    post: __return__ == 8 * n
    """
    return int(np.multiply(n, 8))
PY

said=$(v/bin/crosshair check --report_all --per_condition_timeout=20 eight.py)
echo "$said"
ran=$(v/bin/python -W ignore -c 'import eight; print(eight.eightfold(2**60), 8 * 2**60)')
echo "returned and exact: $ran"

case $said in *"Confirmed over all paths"*) ;; *) echo "it is no longer confirmed"; exit 1 ;; esac
[ "$ran" = "-9223372036854775808 9223372036854775808" ] || { echo "NumPy no longer wraps"; exit 1; }
