"""Damaged wild files and bindings load or are refused with their place; nothing else happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_contracts.contract import Contract, load_text
from pytest_contracts.contract.wild.binding_file import load_bindings
from pytest_contracts.contract.wild.bound import bind
from pytest_contracts.errors import ContractError

CORPUS = Path(__file__).parents[3] / "corpus"
TEXTS = {path.stem: path.read_text("utf-8") for path in sorted(CORPUS.glob("*-kernel-v1.yaml"))}
BINDING = (CORPUS / "binding.yaml").read_text("utf-8").partition("  - contract: gqa")[0]
CODE = (CORPUS / "bound.py").read_text("utf-8")
JUNK = st.sampled_from(
    [
        "[",
        "{",
        "*a",
        "&a",
        ": ",
        "- ",
        "null",
        "1e999",
        "∀",
        "'",
        '"',
        "\t",
        "formal: ",
        "id: X-1",
        "§",
    ]
)


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Return a text with a few lines dropped, repeated, moved or spoilt."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "repeat", "move", "spoil", "cut"])):
            case "drop":
                del lines[at]
            case "repeat":
                lines.insert(at, lines[at])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "spoil":
                column = draw(st.integers(0, len(lines[at])))
                lines[at] = lines[at][:column] + draw(JUNK) + lines[at][column:]
            case _:
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        lines = lines or [""]
    return "\n".join(lines)


def outcome(load: Callable[[], Contract]) -> Contract | ContractError:
    try:
        return load()
    except ContractError as error:
        return error


@pytest.mark.untraced
@given(name=st.sampled_from(sorted(TEXTS)), data=st.data())
def test_damaged_contracts_load_or_are_refused(name: str, data: st.DataObject) -> None:
    text = data.draw(damaged(TEXTS[name]))
    contract = outcome(lambda: load_text(text, f"{name}.yaml"))
    if isinstance(contract, Contract):
        assert all(claim.run is None for claim in contract.claims)
    else:
        assert contract.where is not None


@pytest.mark.untraced
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bindings_bind_or_are_refused(tmp_path: Path, data: st.DataObject) -> None:
    (tmp_path / "bound.py").write_text(CODE, "utf-8")
    file = tmp_path / "binding.yaml"
    file.write_text(data.draw(damaged(BINDING)), "utf-8")
    softmax = load_text(TEXTS["softmax-kernel-v1"], "softmax-kernel-v1.yaml")
    contract = outcome(lambda: bind(softmax, load_bindings(file)))
    assert isinstance(contract, Contract) or contract.where is not None
