"""The workflow files that a reader copies: valid for GitHub and GitLab, and their commands run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema.validators import validator_for

from pytest_contracts import plugin
from pytest_contracts.ledger.records import SCHEMA
from tests.within import ALONE, WORDS

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
GITHUB, GITLAB = EXAMPLES / "github-workflow.yml", EXAMPLES / "gitlab-ci.yml"

CONTRACT = """
metadata: {version: 1.0.0, kind: kernel, description: Doubling}
equations:
  double:
    formula: double(n) = 2 * n
    variables: {n: 0..9}
    implementations: {cpu: "engine:double"}
proof_obligations:
  - {id: D-INV-001, type: invariant, property: Doubles, formal: double(n) = 2 * n}
"""


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def scripts(node: Any) -> Iterator[str]:
    """Every shell script of a workflow that runs pytest."""
    if isinstance(node, dict):
        for value in node.values():
            yield from scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from scripts(value)
    elif isinstance(node, str) and re.search(r"^\s*pytest ", node, re.MULTILINE):
        yield node


@pytest.mark.parametrize(
    ("path", "schema"), [(GITHUB, "github-workflows"), (GITLAB, "gitlab-ci")], ids=["gh", "gl"]
)
def test_the_file_is_valid_by_the_schema_of_its_service(path: Path, schema: str) -> None:
    vendor = resources.files("check_jsonschema").joinpath("builtin_schemas", "vendor")
    rules = json.loads(vendor.joinpath(f"{schema}.json").read_text("utf-8"))
    # YAML 1.1 takes the key `on` for true, and so does PyYAML.
    data = {"on" if key is True else key: value for key, value in loaded(path).items()}
    assert [error.message for error in validator_for(rules)(rules).iter_errors(data)] == []


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=["gh", "gl"])
def test_every_option_exists(path: Path) -> None:
    class Parser:
        known: list[str] = []  # noqa: RUF012

        def getgroup(self, *_: str) -> Parser:
            return self

        def addoption(self, name: str, **_: Any) -> None:
            self.known.append(name)

        def addini(self, *_: Any, **__: Any) -> None:
            pass

    plugin.pytest_addoption(Parser())  # type: ignore[arg-type]
    used = set(re.findall(r"--contracts[a-z-]*", path.read_text("utf-8")))
    assert len(used) >= 4
    assert used <= set(Parser.known)


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=["gh", "gl"])
def test_the_commands_run(path: Path, tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "double-v1.yaml").write_text(CONTRACT, "utf-8")
    (tmp_path / "engine.py").write_text("def double(n):\n    return 2 * n\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    [script] = scripts(loaded(path))
    run = f'"$PYTHON" -m pytest {" ".join(WORDS)} -p no:cacheprovider'
    command = f'set -eu; pytest() {{ {run} "$@"; }}\n{script}'
    summary = tmp_path / "step_summary"
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "GITHUB_ACTIONS")},
        **ALONE,
        "PYTHON": sys.executable,
        "GITHUB_STEP_SUMMARY": str(summary),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path.parent / "hypothesis"),
    }
    earlier = {"schema": SCHEMA, "run": {"started": "2026-01-02T03:04:05Z", "duration_s": 1.0}}
    (tmp_path / "baseline.json").write_text(json.dumps({**earlier, "items": []}))
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    written = set(re.findall(r"--(?:contracts-report|junitxml)=([\w.]+)", script))
    assert len(written) >= 4
    for name in written:
        assert (tmp_path / name).stat().st_size > 300, name
    assert "Since the run of 2026-01-02" in (tmp_path / "contracts.html").read_text("utf-8")
    assert summary.exists() is (path == GITHUB)
