"""Which of the files that a process has opened are the project's."""

from __future__ import annotations

from pathlib import Path

from pytest_contracts.mutation.loaded import names


def test_files_are_known_by_their_place_in_the_project(tmp_path: Path) -> None:
    root, copy = tmp_path / "project", tmp_path / "copy"
    inside = (
        "a.py",
        "package/b.py",
        "package/kernel.cu",
        "package/__pycache__/b.cpython-311-pytest-9.2.0.pyc",
        "package/__pycache__/b.f-1.py311.1.nbc",
        ".contracts/ledger.json",
        "venv/lib/site-packages/numpy.py",
    )
    for name in inside:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (copy / "package").mkdir(parents=True)
    (copy / "package" / "kernel.cu").touch()
    (tmp_path / "outside.py").touch()
    opened = [root / name for name in inside if name != "package/kernel.cu"]
    opened += [copy / "package" / "kernel.cu", tmp_path / "outside.py", root / "gone.py", root]
    found = names(map(str, opened), root, {str(copy): str(root)})
    assert found == ["a.py", "package/b.py", "package/kernel.cu"]
