from __future__ import annotations

import contextlib
import hashlib
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from inference import Model
from inference.cli import main
from inference.errors import InputError, ModelFileError
from inference.formats import open_model
from inference.formats.aprt import read_aprt, stage_path, write_aprt
from inference.formats.overlay import Overlay, tensor_values
from inference.model.stages import ALIASES, Stage, parse_stage, parse_stages
from inference.trace.diff import diff_stages
from inference.trace.plan import TracePlan
from inference.trace.save import save_stages
from pytest_contracts.cli import app as pv

Compared = Callable[..., object]
Load = Callable[[Path, str], Model]

PROMPT = "What is 2+2?"
WHOLE_MODEL = 0xFFFF_FFFF
CONTRACT = Path(__file__).with_name("apr-cli-trace-save-tensor-v1.yaml")


def apr(*arguments: object) -> tuple[int, str]:
    """Run `apr` here and now; return its exit code and everything it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main([str(argument) for argument in arguments])
    return code, said.getvalue()


def trace_to(folder: Path, model: Path, stages: str, layers: str = "0..1") -> list[Path]:
    """Trace the prompt with `apr trace`; return the files below ``folder``."""
    code, said = apr(
        "trace", model, "--payload", "--save-tensor", stages,
        "--save-tensor-dir", folder, "--save-tensor-layers", layers,
    )  # fmt: skip
    assert code == 0, said
    return sorted(path for path in folder.rglob("*") if path.is_file())


def flag_is_documented(compared: Compared) -> None:
    """`apr trace --help` names the flag and every stage."""
    code, said = apr("trace", "--help")
    assert code == 0
    words = said.replace("\n", " ")
    missing = [text for text in ("--save-tensor", *Stage) if text not in words]
    assert not missing, f"help does not mention {missing}"
    compared(1 + len(Stage), what="names in the help text")


def embedding_is_deterministic(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Two runs leave the same bytes."""
    digests = []
    for run in ("first", "second"):
        (path,) = trace_to(tmp_path / run, gguf_path, "embedding")
        assert path == tmp_path / run / "layer-0" / "embedding.bin"
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    compared(path.stat().st_size, what="bytes")


def perturbed_weight_shows(
    gguf_path: Path, load_cached: Load, tmp_path: Path, compared: Compared
) -> None:
    """A gate matrix scaled by 1.1 moves ffn_gate by more than 5 % of its spread."""
    name, stage = "blk.3.ffn_gate.weight", Stage.FFN_GATE
    plan = TracePlan((stage,), range(3, 4))
    recorded = {}
    ids = load_cached(gguf_path, "fused").tokenizer.encode(PROMPT)
    for label, factor in (("as stored", None), ("again", None), ("scaled", 1.1)):
        file = open_model(gguf_path)
        if factor is not None:
            file = Overlay(file, {name: tensor_values(file, name) * np.float32(factor)})
        with Model(file) as model:
            trace = model.trace(ids, plan)
        (recorded[label],) = save_stages(trace, tmp_path / label)
    spread = float(np.std(read_aprt(recorded["as stored"]).values))
    same = diff_stages(recorded["as stored"], recorded["again"]).values
    moved = diff_stages(recorded["as stored"], recorded["scaled"]).values
    assert same.max_abs_diff == 0.0
    assert moved.max_abs_diff / spread > 0.05, f"{moved.max_abs_diff:.4g} of {spread:.4g}"
    compared(same.elements + moved.elements, what="elements")


def header_is_as_specified(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Magic, layer and number of values, then 4 bytes for each of them."""
    checked = 0
    for path in trace_to(tmp_path, gguf_path, "all"):
        data = path.read_bytes()
        magic, layer, count = struct.unpack("<4sII", data[:12])
        whole = path.parent == tmp_path
        assert magic == b"APRT"
        assert layer == (WHOLE_MODEL if whole else 0)
        assert len(data) == 12 + 4 * count
        checked += 1
    assert checked == len(Stage)
    compared(checked, what="headers")


def each_stage_gets_a_file(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Three stages, three files."""
    wanted = ["embedding", "ffn_gate", "ffn_swigl"]
    found = trace_to(tmp_path, gguf_path, ",".join(wanted))
    assert [path.relative_to(tmp_path) for path in found] == [
        Path("layer-0", f"{name}.bin") for name in wanted
    ]
    compared(len(found), what="files")


def nan_is_kept(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """A NaN in a norm's weights arrives in the stage file with its bits."""
    name = "blk.0.attn_norm.weight"
    file = open_model(gguf_path)
    weights = tensor_values(file, name).copy()
    weights.view(np.uint32)[5] = 0x7FC0_0000
    with Model(Overlay(file, {name: weights}), numerics="f32", f32_cache_bytes=0) as model:
        ids = model.tokenizer.encode(PROMPT)
        trace = model.trace(ids, TracePlan((Stage.ATTN_NORM,), range(1)))
    (path,) = save_stages(trace, tmp_path)
    bits = np.frombuffer(path.read_bytes(), "<u4", offset=12).reshape(len(ids), -1)
    assert np.all(bits[:, 5] == 0x7FC0_0000), [hex(value) for value in bits[:, 5]]
    assert trace.forward.layer_activations[0].attn_norm_stats.nan_count == len(ids)
    compared(len(ids), what="NaN values")


def layer_filter_holds(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Only the layers asked for are saved."""
    found = trace_to(tmp_path, gguf_path, "ffn_gate", "3..4")
    assert [path.relative_to(tmp_path) for path in found] == [Path("layer-3", "ffn_gate.bin")]
    assert read_aprt(found[0]).layer == 3
    compared(len(found), what="files")


def contract_validates(compared: Compared) -> None:
    """`pv validate` accepts this contract."""
    result = CliRunner().invoke(pv, ["validate", str(CONTRACT)])
    assert result.exit_code == 0, result.output
    compared(1, what="contracts validated")


def diff_knows_stage_files(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Equal files differ by nothing; files that cannot be compared are refused by name."""
    values = np.linspace(-1, 1, 8, dtype=np.float32)
    paths = {}
    for label, layer, data in (
        ("a", 3, values), ("b", 3, values), ("short", 3, values[:5]), ("other", 4, values),
    ):  # fmt: skip
        paths[label] = tmp_path / f"{label}.bin"
        write_aprt(paths[label], layer, data)
    code, said = apr("diff", paths["a"], paths["b"], "--values", "--json")
    report = json.loads(said)
    assert code == 0
    assert report["schema"] == "apr-stage-diff-v1"
    assert (report["layer"], report["dim_product"]) == (3, 8)
    assert (report["max_abs_diff"], report["rms_diff"]) == (0.0, 0.0)
    assert report["cosine_sim"] == pytest.approx(1.0, abs=1e-12)
    for other, message in (("short", "dim_product mismatch"), ("other", "layer mismatch")):
        code, said = apr("diff", paths["a"], paths[other], "--values")
        assert code != 0
        assert message in said
        with pytest.raises(InputError, match=message):
            diff_stages(paths["a"], paths[other])
    # A stage file beside a model is a model comparison, which cannot read a stage file.
    code, said = apr("diff", paths["a"], gguf_path)
    assert code != 0
    assert "APRT" in said
    compared(5, what="pairs of files")


def logits_are_saved(
    gguf_path: Path, load_cached: Load, tmp_path: Path, compared: Compared
) -> None:
    """lm_head is one file of the whole model with the last position's logits, and only if asked."""
    found = trace_to(tmp_path / "with", gguf_path, "lm_head")
    assert [path.relative_to(tmp_path / "with") for path in found] == [Path("lm_head.bin")]
    data = found[0].read_bytes()
    assert struct.unpack("<I", data[4:8]) == (WHOLE_MODEL,)
    model = load_cached(gguf_path, "fused")
    logits = model.session().advance(model.tokenizer.encode(PROMPT))[-1]
    assert struct.unpack("<I", data[8:12]) == (logits.size,)
    assert data[12:] == logits.astype("<f4").tobytes()
    without = trace_to(tmp_path / "without", gguf_path, "final_norm")
    assert [path.name for path in without] == ["final_norm.bin"]
    compared(logits.size, what="logits")


def works_on_apr(apr_path: Path, tmp_path: Path, compared: Compared) -> None:
    """On an APR file all stages are produced, and listed with their sizes."""
    code, said = apr(
        "trace", apr_path, "--payload", "--save-tensor", "all", "--save-tensor-dir", tmp_path
    )
    assert code == 0
    expected = [stage_path(tmp_path, stage, None if stage.whole_model else 0) for stage in Stage]
    assert sorted(path for path in tmp_path.rglob("*.bin")) == sorted(expected)
    for path in expected:
        assert f"{path} ({path.stat().st_size:,} bytes)" in said
    compared(len(expected), what="files")


def values_are_bit_exact(values: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory,
                         compared: Compared) -> None:  # fmt: skip
    """What is written is read back with its bits, NaN payloads and signed zeros included."""
    path = tmp_path_factory.mktemp("aprt") / "stage.bin"
    write_aprt(path, 0, values)
    assert np.array_equal(read_aprt(path).values.view(np.uint32), values.view(np.uint32))
    compared(values.size, what="values")


def runs_are_identical(gguf_path: Path, tmp_path: Path, compared: Compared) -> None:
    """Every stage of two runs has the same bytes."""
    first = trace_to(tmp_path / "first", gguf_path, "all", "0..4")
    second = trace_to(tmp_path / "second", gguf_path, "all", "0..4")
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert a.relative_to(tmp_path / "first") == b.relative_to(tmp_path / "second")
        assert a.read_bytes() == b.read_bytes(), a.name
    compared(len(first), what="files")


def header_suffices(layer: int, count: int, tmp_path_factory: pytest.TempPathFactory,
                    compared: Compared) -> None:  # fmt: skip
    """A stage file is read from its own bytes alone; a damaged one is refused."""
    path = tmp_path_factory.mktemp("aprt") / "any-name"
    write_aprt(path, layer, np.arange(count, dtype=np.float32))
    found = read_aprt(path)
    assert (found.layer, found.values.size) == (layer, count)
    whole = path.read_bytes()
    for damaged, message in (
        (whole[:11], "truncated header"),
        (b"XXXX" + whole[4:], "bad magic"),
        (whole[:-1], "truncated body"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=message):
            read_aprt(path)
    compared(4, what="files")


def every_name_is_addressable(compared: Compared) -> None:
    """The 20 stages, the alias and the keyword ``all`` are understood, in any case."""
    assert len(Stage) == 20
    for text, stage in [*((s.value, s) for s in Stage), *ALIASES.items()]:
        assert parse_stage(f" {text.upper()} ") is stage
    assert parse_stages("ALL") == tuple(Stage)
    assert parse_stages("") == ()
    for wrong, message in (("a,,b", "empty stage"), ("ffn_swiglu", "valid stages")):
        with pytest.raises(InputError, match=message):
            parse_stages(wrong)
    compared(len(Stage) + len(ALIASES) + 4, what="spellings")
