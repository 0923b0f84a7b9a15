#!/usr/bin/env bash
# Resolve anew what the README's commands and CI install, for every supported Python: constraints.txt.
# Needs uv (https://docs.astral.sh/uv/): pip install uv
set -euo pipefail
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --no-annotate \
    --extra test --extra lint --extra docs --extra browser \
    --custom-compile-command tools/renew_constraints.sh --output-file constraints.txt
