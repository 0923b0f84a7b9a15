#!/usr/bin/env bash
# Transformers 5.24 runs Gemma 3 unscaled where rope_scaling says "type" in place of "rope_type".
#
# Both spellings of the key are read for other models: a Llama config.json with
# rope_scaling {"type": "linear", "factor": 8.0}, as checkpoints before 2024 have it, becomes
# rope_type "linear". Gemma 3's class lays the same section over one that already says
# rope_type "default", and that wins: the factor is kept, and nothing is scaled by it. All that is
# said is a warning of an unrecognized key. Seen 2026-11-29 with transformers 5.24.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv v
v/bin/pip install -q transformers==5.24.0

found=$(v/bin/python - <<'PY' 2> told
from transformers import Gemma3TextConfig, LlamaConfig

old = {"type": "linear", "factor": 8.0}
llama = LlamaConfig(rope_scaling=dict(old)).rope_parameters
gemma = Gemma3TextConfig(rope_scaling=dict(old)).rope_parameters["full_attention"]
print(llama["rope_type"], llama["factor"], gemma["rope_type"], gemma["factor"])
PY
)
echo "llama and gemma3: $found"
grep -i "unrecognized keys" told || true

[ "$found" = "linear 8.0 default 8.0" ] || { echo "Gemma 3 now reads the old key"; exit 1; }
