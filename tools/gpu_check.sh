#!/usr/bin/env bash
# Run every claim that needs an NVIDIA GPU and keep the run's ledger as evidence.
#
# usage: tools/gpu_check.sh [PYTHON]
# writes evidence/gpu-<device>.json; exit status: 0 all claims held, 1 one did not, 3 no device.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

device=$("$python" - <<'PY'
import re
import sys

from inference.errors import DeviceUnavailableError
from inference.kernels.cuda.device import device_name

try:
    name = device_name()
except DeviceUnavailableError as missing:
    print(missing, file=sys.stderr)
    sys.exit(3)
print(re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))
PY
)

ledger=$(mktemp)
trap 'rm -f "$ledger"' EXIT
"$python" -m pytest --contracts=contracts --contracts-report="$ledger" -m gpu || exit 1

# A run in which claims were skipped is no evidence for them.
"$python" - "$ledger" <<'PY'
import json
import sys

records = json.load(open(sys.argv[1], encoding="utf-8"))["items"]
absent = ("UNAVAILABLE", "EVIDENCED", "STALE")
missing = [record["nodeid"] for record in records if record["verdict"] in absent]
if missing or not records:
    sys.exit(f"{len(records)} claims, of which not run: {missing}")
PY

"$python" -c "from pytest_contracts.cli import main; main()" \
    evidence "$ledger" --output "evidence/gpu-$device.json"
