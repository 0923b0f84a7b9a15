"""`apr run`, `trace`, `diff` and `check` on the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.cli import main
from inference.data import TINY_MODEL
from inference.formats import open_model
from inference.formats.aprt import read_aprt, write_aprt
from inference.surgery.importing import import_model

TINY = str(TINY_MODEL)


@pytest.fixture(scope="module")
def tiny_apr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("apr") / "tiny.apr"
    import_model(TINY_MODEL, target)
    return target


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_run_prints_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", TINY, "What is 2+2?", "--max-tokens", "5"]) == 0
    text = capsys.readouterr().out
    assert main(["run", TINY, "What is 2+2?", "--max-tokens", "5", "--json"]) == 0
    found = document(capsys)
    assert text == found["text"] + "\n"
    assert len(found["ids"]) == 5
    assert found["finish_reason"] == "length"
    assert (found["numerics"], found["backend"]) == ("fused", "cpu")


def test_run_options_reach_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", TINY, "hello", "--max-tokens", "12", "--json", "--ignore-eos"]
    results = []
    for extra in ([], ["--temperature", "2", "--seed", "1"], ["--temperature", "2", "--seed", "2"]):
        assert main([*arguments, *extra]) == 0
        results.append(document(capsys)["ids"])
    assert results[0] != results[1] != results[2]
    assert main([*arguments, "--numerics", "f32"]) == 0
    assert document(capsys)["numerics"] == "f32"


def test_run_sampling_options_reach_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", TINY, "hello", "--max-tokens", "8", "--json", "--ignore-eos"]
    assert main(arguments) == 0
    plain = document(capsys)
    first = plain["ids"][0]
    for extra in (
        ["--logit-bias", f"{first}=-inf"],
        ["--presence-penalty", "1000", "--repetition-penalty", "1.5", "--penalty-last-n", "-1"],
        ["--frequency-penalty", "1000"],
        ["--stop", plain["text"][1:3]],
    ):
        assert main([*arguments, *extra]) == 0
        assert document(capsys)["ids"] != plain["ids"]
    hot = ["--temperature", "3", "--seed", "1"]
    for extra in (["--top-k", "1"], ["--top-p", "0.0001"], ["--min-p", "1"]):
        assert main([*arguments, *hot, *extra]) == 0
        assert document(capsys)["ids"] == plain["ids"]
    assert main([*arguments, *hot, "--typical-p", "0.5"]) == 0
    assert document(capsys)["ids"] != plain["ids"]


def test_run_reports_logprobs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", TINY, "hello", "--max-tokens", "3", "--json", "--logprobs", "2"]) == 0
    found = document(capsys)
    assert [entry["id"] for entry in found["logprobs"]] == found["ids"]
    for entry in found["logprobs"]:
        assert entry["top"][0] == {key: entry[key] for key in ("id", "text", "logprob")}
        assert entry["logprob"] >= entry["top"][1]["logprob"]


def test_run_chat_uses_the_template(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["run", TINY, "hello", "--chat", "--max-tokens", "2", "--json"])
    captured = capsys.readouterr()
    if code == 0:
        assert json.loads(captured.out)["prompt"] != "hello"
    else:
        assert "no chat template" in captured.err


@pytest.mark.parametrize(
    ("extra", "code", "message"),
    [
        (["--backend", "cuda"], 4, "CPU only"),
        (["--backend", "tpu"], 2, "not one of 'auto', 'cpu', 'cuda'"),
        (["--numerics", "f16"], 2, "not one of 'fused', 'f32'"),
        (["--max-tokens", "100000"], 2, "at most"),
        (["--max-tokens", "0"], 2, "max-tokens"),
        (["--top-p", "0"], 2, "top_p must be above 0"),
        (["--logit-bias", "x=1"], 2, "is not ID=BIAS"),
        (["--logit-bias", "99999=1"], 2, "outside 0..511"),
    ],
)
def test_run_errors_are_one_line(
    extra: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", TINY, "hello", *extra]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err


def test_trace_prints_the_same_for_both_formats(
    tiny_apr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = []
    for path in (TINY, str(tiny_apr)):
        assert main(["trace", path, "--payload"]) == 0
        outputs.append(capsys.readouterr().out.splitlines())
    assert outputs[0][0] == "Format: gguf"
    assert outputs[1][0] == "Format: apr"
    assert outputs[0][1:] == outputs[1][1:]
    assert "Test prompt: 'What is 2+2?'" in outputs[0]


def test_trace_json_and_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["trace", TINY, "--ids", "5, 6,7", "--json", "--save-tensor", "ffn_up,lm_head"]
    assert (
        main([*arguments, "--save-tensor-dir", str(tmp_path), "--save-tensor-layers", "1..3"]) == 0
    )
    found = document(capsys)
    assert found["schema"] == "apr-trace-v1"
    assert found["input_tokens"] == [5, 6, 7]
    assert len(found["layer_activations"]) == found["architecture"]["layers"] == 4
    assert [Path(entry["path"]).relative_to(tmp_path).as_posix() for entry in found["saved"]] == [
        "layer-1/ffn_up.bin",
        "layer-2/ffn_up.bin",
        "lm_head.bin",
    ]
    for entry in found["saved"]:
        assert entry["bytes"] == Path(entry["path"]).stat().st_size
    logits = read_aprt(tmp_path / "lm_head.bin").values
    best = found["top_predictions"][0]
    assert best["token_id"] == int(np.argmax(logits))
    assert best["logit"] == pytest.approx(float(logits.max()))


def test_trace_saves_beside_the_model_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "small.gguf"
    model.write_bytes(TINY_MODEL.read_bytes())
    import_model(model, tmp_path / "small.apr")
    for name in ("small.gguf", "small.apr"):
        assert main(["trace", str(tmp_path / name), "--save-tensor", "embedding"]) == 0
        assert (tmp_path / f"{name}-trace" / "layer-0" / "embedding.bin").is_file()
        assert "SAVED STAGES:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--save-tensor", "ffn_gat"], "valid stages"),
        (["--save-tensor", "all", "--save-tensor-layers", "3..3"], "END must be greater"),
        (["--ids", "1,x"], "not a list of integers"),
    ],
)
def test_trace_arguments_are_judged_before_the_model_is_opened(
    extra: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", "no-such-model.gguf", *extra]) == 2
    assert message in capsys.readouterr().err


def test_trace_layers_past_the_last(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["trace", TINY, "--save-tensor", "ffn_up", "--save-tensor-dir", str(tmp_path)]
    assert main([*arguments, "--save-tensor-layers", "3..9"]) == 2
    assert "past the last layer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_diff_of_stage_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    write_aprt(a, 3, np.array([1, 2, 3, 4], np.float32))
    write_aprt(b, 3, np.array([1, 2.5, 3, 4], np.float32))
    assert main(["diff", str(a), str(b), "--values", "--limit", "1"]) == 1
    out = capsys.readouterr().out
    assert "max|diff|: 5.000000e-01 at index 1" in out
    assert "RMS diff: 2.500000e-01" in out
    assert "Layer: 3" in out
    assert out.count("|diff|=") == 1
    copy = tmp_path / "copy.bin"
    copy.write_bytes(a.read_bytes())
    assert main(["diff", str(a), str(copy)]) == 0


def test_diff_of_models(tmp_path: Path, tiny_apr: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", TINY, str(tiny_apr), "--json"]) == 0
    found = document(capsys)
    assert found["equal"]
    assert found["compared"] == found["identical"] == len(open_model(TINY_MODEL).tensors)
    file = open_model(TINY_MODEL)
    data = bytearray(TINY_MODEL.read_bytes())
    info = file.tensors["output_norm.weight"]
    data[info.offset : info.offset + 4] = np.float32(9.0).tobytes()
    changed = tmp_path / "changed.gguf"
    changed.write_bytes(data)
    assert main(["diff", TINY, str(changed), "--values"]) == 1
    out = capsys.readouterr().out
    assert "50 identical, 1 different" in out
    assert "output_norm.weight: F32[256] / F32[256], max|diff| " in out
    assert main(["diff", TINY, str(changed)]) == 1
    assert "max|diff|" not in capsys.readouterr().out


def test_diff_of_models_without_a_common_tensor(
    make_gguf: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_gguf()
    assert main(["diff", TINY, str(other), "--values"]) == 1
    out = capsys.readouterr().out
    assert "Only in A" in out


def test_diff_of_a_stage_and_a_model_is_a_model_comparison(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = tmp_path / "stage.bin"
    write_aprt(stage, 0, np.ones(3, np.float32))
    assert main(["diff", str(stage), TINY]) == 3
    assert "APRT" in capsys.readouterr().err


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", TINY, "--json"]) == 0
    found = document(capsys)
    assert found["ok"]
    assert [stage["verdict"] for stage in found["stages"]] == ["OK"] * 10
    assert found["architecture"] == "qwen2"
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(TINY_MODEL.read_bytes()[:5000])
    assert main(["check", str(broken)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("FAILED  file:")
    assert "SKIPPED" in out


def test_diff_refuses_a_file_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "other-name.gguf"
    link.symlink_to(TINY_MODEL)
    assert main(["diff", TINY, str(link)]) == 2
    assert "compares a file with itself" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["apr_q8", "apr_q4", "q8_0"])
def test_diff_measures_what_convert_wrote(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "packed.apr")
    assert main(["convert", TINY, "-o", path, "--quantize", dtype]) == 0
    capsys.readouterr()
    assert main(["diff", TINY, path, "--values", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    packed = [tensor for tensor in found["different"] if tensor["b"].startswith(dtype.upper())]
    assert packed
    assert all(tensor["max_abs_diff"] > 0 for tensor in packed)
    assert all(0.99 < tensor["cosine_sim"] < 1 for tensor in packed)
