from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from gguf import GGUFValueType as Kind

from inference.errors import EngineError, ModelFileError, TokenizerError, UnsupportedFormatError
from inference.formats import open_model
from inference.formats.apr import writer
from inference.formats.apr.gguf_origin import gguf_origin
from inference.formats.apr.reader import AprFile
from inference.formats.apr.writer import write_apr
from inference.formats.config import model_config
from inference.formats.gguf.reader import GgufFile
from inference.formats.tokenizer import tokenizer_spec
from inference.surgery import importing, tensors
from inference.surgery.importing import import_model


def test_every_byte_of_a_gguf_arrives(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.apr"
    report = import_model(tiny_gguf, target)
    theirs = {tensor.name: tensor for tensor in GGUFReader(tiny_gguf).tensors}
    with AprFile(target, verify=True) as file:
        assert file.tensors.keys() == theirs.keys() == report.digests.keys()
        for name, info in file.tensors.items():
            data = theirs[name].data.tobytes()
            assert file.raw(name).tobytes() == data
            assert report.digests[name] == hashlib.sha256(data).hexdigest()
            assert info.dtype == theirs[name].tensor_type
        assert file.tensors["blk.1.attn_q.bias"].file_name == (
            "model.layers.1.self_attn.q_proj.bias"
        )
    assert (report.tensors, report.nbytes) == (27, target.stat().st_size)
    assert report.architecture == "qwen2"


def test_the_metadata_say_what_the_format_asks(tiny_apr: Path) -> None:
    with AprFile(tiny_apr) as file:
        stated = {
            "model_type": "qwen2",
            "architecture": "qwen2",
            "name": "tiny",
            "source": "tiny.gguf",
            "original_format": "gguf",
            "hidden_size": 64,
            "num_layers": 2,
            "num_heads": 4,
            "num_kv_heads": 2,
            "vocab_size": 40,
            "intermediate_size": 96,
            "max_position_embeddings": 128,
            "rope_theta": 1e6,
            "rope_type": 2,
            "chat_template": "{{ messages }}",
            "special_tokens": {"eos_token": "<|end|>"},
            "dtype_extension": "ggml+160",
        }
        assert file.metadata.items() >= stated.items()
        assert file.metadata["param_count"] == sum(
            np.prod(info.shape) for info in file.tensors.values()
        )
        assert file.header.flags == 32 | 512 | 1024


def test_gguf_metadata_come_back_whole(tiny_gguf: Path, tiny_apr: Path) -> None:
    with GgufFile(tiny_gguf) as source, AprFile(tiny_apr) as file:
        origin = gguf_origin(file)
        assert origin is not None
        assert list(origin.values) == list(source.metadata)
        assert origin.types == source.metadata_types
        assert origin.tensor_order == list(source.tensors)
        assert (origin.version, origin.alignment) == (3, 32)
        for key, value in source.metadata.items():
            plain = value.tolist() if isinstance(value, np.ndarray) else value
            np.testing.assert_equal(origin.values[key], plain, key)
        # the vocabulary stands in the file once
        assert file.metadata["gguf"]["metadata"]["tokenizer.ggml.tokens"] == {
            "type": "array:string",
            "in": "tokenizer.tokens",
        }


@pytest.mark.parametrize(
    "section",
    [
        1,
        {},
        {"version": 3, "alignment": 32, "tensor_order": [], "metadata": {"k": {"type": "u99"}}},
        {
            "version": 3,
            "alignment": 32,
            "tensor_order": [],
            "metadata": {"k": {"type": "string", "in": "nowhere.at.all"}},
        },
        {
            "version": 3,
            "alignment": 32,
            "tensor_order": [],
            "metadata": {"k": {"type": "float32", "value": "much"}},
        },
    ],
)
def test_damaged_origins_are_refused(section: Any, tmp_path: Path) -> None:
    write_apr(tmp_path / "x.apr", {"gguf": section}, [])
    with (
        AprFile(tmp_path / "x.apr") as file,
        pytest.raises(ModelFileError, match="'gguf' metadata are damaged"),
    ):
        gguf_origin(file)


@pytest.mark.parametrize("shards", [1, 3])
def test_every_byte_of_a_hugging_face_directory_arrives(
    shards: int, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_hf(shards=shards)
    import_model(source, tmp_path / "out.apr")
    with open_model(source) as ours, AprFile(tmp_path / "out.apr", verify=True) as file:
        assert len(file.tensors) == 27
        for name, info in ours.tensors.items():
            assert file.tensors[name].file_name == info.file_name
            assert file.raw(name).tobytes() == ours.raw(name).tobytes()
        assert model_config(file) == model_config(ours)
        assert file.metadata["hf"]["config"] == json.loads((source / "config.json").read_text())
        assert gguf_origin(file) is None
        assert tokenizer_spec(file).tokens == tokenizer_spec(ours).tokens


@pytest.mark.parametrize("architecture", ["phi3", "mamba"])
def test_other_architectures_are_imported_byte_for_byte(
    architecture: str, make_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_gguf(architecture=architecture)
    import_model(source, tmp_path / "out.apr")
    with open_model(source) as ours, AprFile(tmp_path / "out.apr") as file:
        assert file.tensors.keys() == ours.tensors.keys()
        assert "rope_type" not in file.metadata


def test_progress_ends_at_the_total(tiny_gguf: Path, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    import_model(tiny_gguf, tmp_path / "x.apr", progress=lambda *step: seen.append(step))
    assert len(seen) == 27
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert seen[-1][1] == seen[-1][2] > 0


def test_an_existing_target_is_replaced(tiny_gguf: Path, tiny_apr: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.apr"
    target.write_bytes(b"old")
    import_model(tiny_gguf, target)
    assert target.read_bytes() == tiny_apr.read_bytes()


@pytest.mark.parametrize("existing", [False, True])
def test_an_interrupted_import_leaves_nothing(
    existing: bool, tiny_gguf: Path, tmp_path: Path
) -> None:
    target = tmp_path / "x.apr"
    if existing:
        target.write_bytes(b"old")

    def interrupt(name: str, done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_model(tiny_gguf, target, progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == (["x.apr"] if existing else [])
    assert not existing or target.read_bytes() == b"old"


KILLED = """
import os, signal, sys
from inference.surgery.importing import import_model

def kill(name, done, total):
    if done > total // 2:
        os.kill(os.getpid(), signal.SIGKILL)

import_model(sys.argv[1], sys.argv[2], progress=kill)
"""


def test_a_killed_import_leaves_the_old_file(tiny_gguf: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.apr"
    target.write_bytes(b"old")
    root = Path(importing.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tiny_gguf), str(target)], cwd=root, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old"
    import_model(tiny_gguf, target)
    with AprFile(target, verify=True) as file:
        assert len(file.tensors) == 27


def test_a_tensor_written_wrong_is_noticed(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = writer.checked_pieces

    def wrong(target: Path, tensor: Any) -> Any:
        for piece in right(target, tensor):
            yield bytes(piece) if tensor.name != "lm_head.weight" else bytes(len(piece))

    monkeypatch.setattr(writer, "checked_pieces", wrong)
    with pytest.raises(EngineError, match=r"'output\.weight' is not what"):
        import_model(tiny_gguf, tmp_path / "x.apr")
    assert not list(tmp_path.iterdir())


def test_a_tensor_left_out_is_noticed(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = tensors.Conversion.sources
    monkeypatch.setattr(tensors.Conversion, "sources", lambda self: list(everything(self))[1:])
    with pytest.raises(EngineError, match="the tensors written are not those of"):
        import_model(tiny_gguf, tmp_path / "x.apr")


def test_an_import_without_tokenizer_is_refused(
    make_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_gguf(changed={"tokenizer.ggml.tokens": None})
    with pytest.raises(TokenizerError, match="carries no tokenizer"):
        import_model(source, tmp_path / "x.apr")
    assert not (tmp_path / "x.apr").exists()


def test_an_unnameable_pre_tokenizer_is_refused(
    make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_hf()
    whole = json.loads((source / "tokenizer.json").read_text())
    whole["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "."
    (source / "tokenizer.json").write_text(json.dumps(whole))
    with pytest.raises(TokenizerError, match="pre-tokenizer"):
        import_model(source, tmp_path / "x.apr")


def test_contradictory_models_are_refused(make_gguf: Callable[..., Path], tmp_path: Path) -> None:
    source = make_gguf(changed={"qwen2.block_count": (3, Kind.UINT32, None)})
    with pytest.raises(ModelFileError, match="is missing"):
        import_model(source, tmp_path / "x.apr")


def test_targets_that_would_destroy_the_source(
    tiny_gguf: Path, tiny_apr: Path, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    hf = make_hf()
    for source, target in (
        (tiny_gguf, tiny_gguf),
        (tiny_gguf, tmp_path),
        (hf, hf / "model.safetensors"),
    ):
        with pytest.raises(ModelFileError, match="cannot be the target"):
            import_model(source, target)
    with pytest.raises(UnsupportedFormatError, match="already"):
        import_model(tiny_apr, tmp_path / "x.apr")
