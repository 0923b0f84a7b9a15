"""A row of the table is whole: what it needs beside it is there, and what it says is read."""

from __future__ import annotations

import ast
import json
import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import inference
from inference.formats import open_model
from inference.formats.config import architecture_of, model_config
from inference.formats.validate import expected_shapes
from inference.model.architectures import (
    ARCHITECTURES,
    BIASES,
    EVERYWHERE,
    KEYS,
    Architecture,
    Keys,
    table,
)
from inference.model.config import ModelConfig
from inference.surgery.converting import convert_model

ROOT = Path(__file__).parents[3]
TINY = ROOT / "tests" / "golden" / "tiny"
IDS = [(i * 37 + 5) % 512 for i in range(24)]

of_every_row = pytest.mark.parametrize("name", sorted(ARCHITECTURES))


@of_every_row
def test_a_small_model_is_there(name: str) -> None:
    folder = TINY / name
    assert (folder / "config.json").is_file(), f"{folder} is missing: a small random model"
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    row = ARCHITECTURES[name]
    assert (config["model_type"], config["architectures"]) == (row.model_type, [row.hf_class])
    with open_model(folder) as file:
        assert architecture_of(file) == name
        assert file.tensors.keys() == dict(expected_shapes(model_config(file))).keys()


@of_every_row
def test_values_of_another_implementation_are_there(name: str) -> None:
    path = TINY / f"{name}.golden.npz"
    assert path.is_file(), f"{path} is missing: recorded hidden states, and logits if need be"
    with np.load(path) as held:
        assert any(key.endswith(".hidden") for key in held.files), f"{path} has no hidden states"
    readme = (TINY / "README.md").read_text(encoding="utf-8")
    assert f"- `{name}/`: " in readme, f"{TINY / 'README.md'} does not say what {name}/ is"


@of_every_row
def test_the_reference_has_an_entry(name: str) -> None:
    page = ROOT / "docs" / "reference" / "engine.md"
    row = ARCHITECTURES[name]
    begin = f"| `{name}` | `{row.model_type}` | `{row.hf_class}` | "
    assert begin in page.read_text(encoding="utf-8"), f"{page} lacks a line that begins {begin!r}"


@of_every_row
def test_names_of_a_layer_are_a_bijection(name: str) -> None:
    row = ARCHITECTURES[name]
    names = {**BIASES, **row.layer_tensors}
    assert {gguf: hf for hf, gguf in row.hf_layer_tensors.items()} == names


@of_every_row
def test_hyperparameters_have_keys(name: str) -> None:
    row = ARCHITECTURES[name]
    assert row.keys.keys() == KEYS.keys()
    assert all(all(row.keys[field]) for field in EVERYWHERE)
    assert row.hf_defaults.keys() <= KEYS.keys()
    assert set(EVERYWHERE) <= {field.name for field in fields(ModelConfig)}


def test_model_types_are_told_apart() -> None:
    assert len({row.model_type for row in ARCHITECTURES.values()}) == len(ARCHITECTURES)


OWN_WORDS = {"hidden_size": "n_embd", "rope_theta": "rotary_base", "rms_norm_eps": "norm_eps"}


def test_a_row_with_words_of_its_own_goes_round_all_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the row says what an architecture calls its tensors and hyper-parameters."""
    llama = ARCHITECTURES["llama"]
    renamed = {field: keys.hf for field, keys in KEYS.items() if keys.hf in OWN_WORDS}
    row = Architecture(
        name="made-up",
        hf_model_type="made_up_text",
        hf_class="MadeUpForCausalLM",
        layer_tensors={
            g: h.replace("self_attn", "attention") for g, h in llama.layer_tensors.items()
        },
        keys={**KEYS} | {f: KEYS[f]._replace(hf=OWN_WORDS[hf]) for f, hf in renamed.items()},
        gguf_rope_type=llama.gguf_rope_type,
        rope_divisors=True,
    )
    monkeypatch.setitem(ARCHITECTURES, row.name, row)  # type: ignore[misc]
    convert_model(TINY / "llama", tmp_path / "llama", format="hf")  # in one file, not three
    source = tmp_path / "made-up"
    _rewrite(tmp_path / "llama", source, row)
    with inference.load(TINY / "llama", numerics="f32") as model:
        expected = model.forward(IDS)
    for target, format in (("x.gguf", "gguf"), ("x.apr", "apr"), ("x", "hf")):
        convert_model(source, tmp_path / target, format=format)  # type: ignore[arg-type]
        source = tmp_path / target
        with inference.load(source, numerics="f32") as model:
            assert model.config.architecture == "made-up"
            np.testing.assert_allclose(model.forward(IDS), expected, rtol=0, atol=1e-4)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["architectures"]) == ("made_up_text", [row.hf_class])
    assert config["n_embd"] == 128
    assert not OWN_WORDS.keys() & config.keys()


def _rewrite(source: Path, target: Path, row: Architecture) -> None:
    """Copy a Hugging Face directory of llama with the names that another row gives."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(source, target)
    config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8"))
    config = {OWN_WORDS.get(key, key): value for key, value in config.items()}
    config |= {"model_type": row.model_type, "architectures": [row.hf_class]}
    (target / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tensors = load_file(source / "model.safetensors")
    renamed = {name.replace("self_attn", "attention"): data for name, data in tensors.items()}
    save_file(renamed, target / "model.safetensors")


def test_the_how_to_shows_rows_of_the_table() -> None:
    page = (ROOT / "docs" / "how-to" / "add-an-architecture.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python$(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(shown) >= 2
    rows = {ast.dump(node) for node in ast.walk(ast.parse(Path(table.__file__).read_text()))}
    assert {ast.dump(ast.parse(row).body[0].value) for row in shown} <= rows  # type: ignore[attr-defined]


def test_keys_are_named_by_format() -> None:
    assert KEYS["layers"] == Keys(gguf="block_count", hf="num_hidden_layers", apr="num_layers")
