"""Every way between the formats: what is kept byte for byte, and that the model stays the model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGUFReader
from numpy.typing import NDArray
from tokenizers import Tokenizer as Library

import inference
from inference.data import TINY_MODEL
from inference.errors import (
    EngineError,
    InputError,
    ModelFileError,
    TokenizerError,
    UnsupportedArchitectureError,
    UnsupportedFormatError,
)
from inference.formats import ModelFile, open_model
from inference.formats.apr.reader import AprFile
from inference.formats.config import model_config
from inference.formats.gguf.reader import GgufFile
from inference.formats.tokenizer import tokenizer_spec
from inference.model.architectures import ARCHITECTURES
from inference.quant import dequantize
from inference.quant.types import AprType, GGMLType, TensorType
from inference.surgery import converting, dialects
from inference.surgery.converting import convert_model
from inference.surgery.tensors import Conversion, Recipe, fitting_type
from inference.text.tokenizer import Tokenizer

TINY = Path(__file__).parents[2] / "golden" / "tiny"
IDS = [(i * 37 + 5) % 512 for i in range(40)]
TEXTS = (
    "What is 2+2?",
    "def f():\n\treturn 'é 日本 🙂'\n",
    "  a  b  ",
    "1234567 <|im_end|> x",
    "cafe\u0301",
)


def logits(path: Path) -> NDArray[np.float32]:
    with inference.load(path, numerics="f32") as model:
        return model.forward(IDS)


def digests(file: ModelFile) -> dict[str, str]:
    return {name: hashlib.sha256(file.raw(name)).hexdigest() for name in file.tensors}


def ids(path: Path) -> list[list[int]]:
    with open_model(path) as file:
        tokenizer = Tokenizer.from_spec(tokenizer_spec(file))
    return [tokenizer.encode(text) for text in TEXTS]


def assert_same_gguf(one: Path, other: Path) -> None:
    with GgufFile(one) as before, GgufFile(other) as after:
        assert list(after.metadata) == list(before.metadata)
        assert after.metadata_types == before.metadata_types
        for key, value in before.metadata.items():
            np.testing.assert_equal(after.metadata[key], value, key)
        assert list(after.tensors) == list(before.tensors)
        assert {n: (t.dtype, t.shape) for n, t in after.tensors.items()} == {
            n: (t.dtype, t.shape) for n, t in before.tensors.items()
        }
        assert digests(after) == digests(before)


@pytest.mark.parametrize("path", ["tiny", "fixture"])
def test_gguf_comes_back_from_apr_byte_for_byte(path: str, tiny_gguf: Path, tmp_path: Path) -> None:
    source = TINY_MODEL if path == "tiny" else tiny_gguf
    first = convert_model(source, tmp_path / "x.apr", format="apr")
    report = convert_model(tmp_path / "x.apr", tmp_path / "back.gguf", format="gguf")
    assert_same_gguf(source, tmp_path / "back.gguf")
    assert report.kept == report.tensors == first.kept
    assert report.digests == first.digests
    if path == "tiny":
        assert (tmp_path / "back.gguf").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_directory_comes_back_from_apr_byte_for_byte(architecture: str, tmp_path: Path) -> None:
    source, target = TINY / architecture, tmp_path / "hf"
    convert_model(source, tmp_path / "x.apr", format="apr")
    report = convert_model(tmp_path / "x.apr", target, format="hf")
    assert report.kept == report.tensors
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        assert json.loads((target / name).read_text()) == json.loads((source / name).read_text())
    with open_model(source) as before, open_model(target) as after:
        assert digests(after) == digests(before) == report.digests
        assert model_config(after) == model_config(before)
    assert ids(target) == ids(source)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_gguf_of_a_directory_is_the_same_model(architecture: str, tmp_path: Path) -> None:
    source, target = TINY / architecture, tmp_path / "x.gguf"
    report = convert_model(source, target, format="gguf")
    np.testing.assert_allclose(logits(target), logits(source), rtol=0, atol=2e-4)
    assert ids(target) == ids(source)
    reader = GGUFReader(target)
    assert len(reader.tensors) == report.tensors
    assert reader.fields["general.architecture"].contents() == architecture
    vectors = [tensor for tensor in reader.tensors if len(tensor.shape) == 1]
    assert {tensor.tensor_type for tensor in vectors} == {GGMLType.F32}


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_directory_of_gguf_is_the_same_model(architecture: str, tmp_path: Path) -> None:
    source = TINY / architecture
    convert_model(source, tmp_path / "x.gguf", format="gguf")
    convert_model(tmp_path / "x.gguf", tmp_path / "hf", format="hf")
    np.testing.assert_allclose(logits(tmp_path / "hf"), logits(source), rtol=0, atol=2e-4)
    assert ids(tmp_path / "hf") == ids(source)
    theirs = json.loads((source / "config.json").read_text())
    ours = json.loads((tmp_path / "hf" / "config.json").read_text())
    for key in ("model_type", "architectures", "hidden_size", "head_dim", "rms_norm_eps"):
        assert ours[key] == theirs.get(key, ours[key])
    # Transformers refuses a float where its class has an integer.
    assert type(ours.get("query_pre_attn_scalar", 1)) is int
    library = Library.from_file(str(tmp_path / "hf" / "tokenizer.json"))
    expected = Library.from_file(str(source / "tokenizer.json"))
    for text in TEXTS[:3]:
        assert library.encode(text).ids == expected.encode(text).ids
    # Matrices are as exact as in the source: 16-bit floats stay what they are.
    with open_model(source) as before, open_model(tmp_path / "hf") as after:
        for name, info in before.tensors.items():
            if len(info.shape) == 2:
                assert after.raw(name).tobytes() == before.raw(name).tobytes()


def test_quantized_tensors_are_expanded_for_safetensors(tmp_path: Path) -> None:
    report = convert_model(TINY_MODEL, tmp_path / "hf", format="hf")
    assert set(report.types) == {"F32"}
    with open_model(TINY_MODEL) as before, open_model(tmp_path / "hf") as after:
        for name, info in before.tensors.items():
            expected = dequantize(before.raw(name), info.dtype, info.shape)
            assert after.raw(name).tobytes() == expected.tobytes()
    np.testing.assert_array_equal(logits(tmp_path / "hf"), logits(TINY_MODEL))
    assert ids(tmp_path / "hf") == ids(TINY_MODEL)
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["torch_dtype"] == "float32"


@pytest.mark.parametrize("dtype", [GGMLType.F16, GGMLType.BF16])
def test_a_directory_of_16_bits(dtype: TensorType, tmp_path: Path) -> None:
    convert_model(TINY_MODEL, tmp_path / "hf", format="hf", quantize=dtype, max_shard_size=400_000)
    with open_model(tmp_path / "hf") as file:
        assert {info.dtype for info in file.tensors.values()} == {dtype}
        stated = file.metadata["torch_dtype"]
    assert stated == {"F16": "float16", "BF16": "bfloat16"}[dtype.name]
    shards = sorted((tmp_path / "hf").glob("model-*-of-*.safetensors"))
    assert len(shards) > 3
    expected = logits(TINY_MODEL)
    cosine = np.corrcoef(expected.ravel(), logits(tmp_path / "hf").ravel())[0, 1]
    assert cosine > 0.9995


@pytest.mark.parametrize("format", ["gguf", "apr"])
@pytest.mark.parametrize(
    "dtype", [GGMLType.Q8_0, GGMLType.Q4_K, GGMLType.Q5_K, GGMLType.Q6_K, GGMLType.Q4_0]
)
def test_quantizing_keeps_the_model(dtype: TensorType, format: Any, tmp_path: Path) -> None:
    source, target = TINY / "qwen2", tmp_path / "out"
    report = convert_model(source, target, format=format, quantize=dtype)
    with open_model(target) as file:
        for info in file.tensors.values():
            if len(info.shape) > 1:
                assert info.dtype == dtype
            else:
                assert info.dtype in (GGMLType.F32, GGMLType.BF16)
        assert ids(target) == ids(source)
        if format == "apr":
            assert file.metadata["quantization"]["quant_type"] == dtype.name
            assert file.metadata["total_size"] == sum(i.nbytes for i in file.tensors.values())
        elif dtype != GGMLType.Q4_K:
            assert file.metadata["general.file_type"] > 0
    assert report.types[dtype.name] > 10
    expected = logits(source)
    cosine = np.corrcoef(expected.ravel(), logits(target).ravel())[0, 1]
    assert cosine > (0.999 if dtype == GGMLType.Q8_0 else 0.95)


@pytest.mark.parametrize("dtype", list(AprType), ids=lambda dtype: dtype.name)
def test_types_of_apr_files_alone(dtype: TensorType, tmp_path: Path) -> None:
    convert_model(TINY / "qwen2", tmp_path / "q.apr", format="apr", quantize=dtype)
    expected = logits(TINY / "qwen2")
    quantized = logits(tmp_path / "q.apr")
    assert np.corrcoef(expected.ravel(), quantized.ravel())[0, 1] > 0.9
    convert_model(tmp_path / "q.apr", tmp_path / "x.gguf", format="gguf")
    np.testing.assert_allclose(logits(tmp_path / "x.gguf"), quantized, atol=1e-4)
    with pytest.raises(InputError, match="type of APR files alone"):
        convert_model(TINY / "qwen2", tmp_path / "y.gguf", format="gguf", quantize=dtype)


@pytest.mark.parametrize(
    ("wanted", "fallback"),
    [(GGMLType.Q4_K, "Q5_0"), (GGMLType.Q5_K, "Q5_1"), (GGMLType.Q6_K, "Q8_0")],
)
def test_rows_that_blocks_do_not_divide_get_the_nearest_type(
    wanted: TensorType, fallback: str, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    """Rows of 64 and 96 are no super-blocks of 256; they are blocks of 32."""
    report = convert_model(make_hf(), tmp_path / "x.gguf", format="gguf", quantize=wanted)
    assert set(report.types) == {fallback, "F32"}


def test_the_same_type_again_moves_no_byte(tmp_path: Path) -> None:
    convert_model(TINY / "qwen2", tmp_path / "a.gguf", format="gguf", quantize=GGMLType.Q8_0)
    report = convert_model(
        tmp_path / "a.gguf", tmp_path / "b.gguf", format="gguf", quantize=GGMLType.Q8_0
    )
    assert report.kept == report.tensors
    assert_same_gguf(tmp_path / "a.gguf", tmp_path / "b.gguf")


@pytest.mark.parametrize("architecture", ["phi3", "mamba"])
def test_other_architectures_go_to_apr_and_back(
    architecture: str, make_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    source = make_gguf(architecture=architecture)
    convert_model(source, tmp_path / "x.apr", format="apr")
    convert_model(tmp_path / "x.apr", tmp_path / "back.gguf", format="gguf")
    assert_same_gguf(source, tmp_path / "back.gguf")
    with pytest.raises(UnsupportedArchitectureError, match=f"{architecture}.*supported: gemma3"):
        convert_model(source, tmp_path / "hf", format="hf")
    assert not (tmp_path / "hf").exists()


def test_a_template_beside_the_tokenizer_comes_along(tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(TINY / "qwen2", source)
    settings = json.loads((source / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (source / "tokenizer_config.json").write_text(json.dumps(settings))
    (source / "chat_template.jinja").write_text("{{ messages }}!")
    convert_model(source, tmp_path / "x.apr", format="apr")
    for target, format in (("y.gguf", "gguf"), ("hf", "hf")):
        convert_model(tmp_path / "x.apr", tmp_path / target, format=format)  # type: ignore[arg-type]
        with open_model(tmp_path / target) as file:
            assert tokenizer_spec(file).chat_template == "{{ messages }}!"


def test_what_a_target_cannot_express_is_refused(tmp_path: Path) -> None:
    """GGUF has no key for the scalar of gemma's queries."""
    source = tmp_path / "in"
    shutil.copytree(TINY / "gemma3", source)
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"query_pre_attn_scalar": 48}))
    with pytest.raises(UnsupportedFormatError, match="cannot express this model's query_scale"):
        convert_model(source, tmp_path / "x.gguf", format="gguf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_scaling_that_gguf_reads_for_llama_alone(tmp_path: Path) -> None:
    source = tmp_path / "in"
    shutil.copytree(TINY / "qwen2", source)
    scaling = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    scaling |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"rope_scaling": scaling}))
    with pytest.raises(UnsupportedFormatError, match=r"rotary scaling 'llama3' .* qwen2") as caught:
        convert_model(source, tmp_path / "x.gguf", format="gguf")
    assert caught.value.path == source
    convert_model(source, tmp_path / "x.apr", format="apr")


@pytest.mark.parametrize("dtype", [GGMLType.F16, GGMLType.Q8_0])
def test_a_weight_beyond_float16_is_refused(
    dtype: TensorType, make_hf: Callable[..., Path], tmp_path: Path
) -> None:
    """It would be an infinity, and every logit NaN; blocks of 32 do not fit these rows of 48."""
    large = np.full((96, 48), 0.5, np.float32)
    large[3, 5] = 70000
    source = make_hf(tensors={"model.layers.0.mlp.up_proj.weight": large})
    with open_model(source) as file:
        job = Conversion(
            file,
            [
                Recipe(info, info.name, fitting_type(dtype, info))
                for info in file.tensors.values()
                if info.name == "blk.0.ffn_up.weight"
            ],
        )
        with pytest.raises(ModelFileError, match=r"up_proj\.weight'.*70000 lies outside ±65504"):
            [b"".join(tensor.pieces()) for tensor in job.sources()]


def test_divisors_of_no_known_formula_are_refused(tmp_path: Path) -> None:
    convert_model(TINY / "llama", tmp_path / "x.gguf", format="gguf")
    with GgufFile(tmp_path / "x.gguf") as file:
        at = file.tensors[dialects.DIVISORS].offset
        count = file.tensors[dialects.DIVISORS].shape[0]
    data = bytearray((tmp_path / "x.gguf").read_bytes())
    data[at : at + 4 * count] = np.linspace(1, 3, count).astype("<f4").tobytes()
    (tmp_path / "x.gguf").unlink()
    (tmp_path / "x.gguf").write_bytes(data)
    with pytest.raises(UnsupportedFormatError, match="no formula that config"):
        convert_model(tmp_path / "x.gguf", tmp_path / "hf", format="hf")


def test_values_that_blocks_cannot_hold_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "in.gguf"
    convert_model(TINY_MODEL, source, format="gguf", quantize=GGMLType.F32)
    with GgufFile(source) as file:
        at = file.tensors["blk.0.ffn_up.weight"].offset
    data = bytearray(source.read_bytes())
    data[at : at + 4] = np.array([np.nan], "<f4").tobytes()
    source.unlink()
    source.write_bytes(data)
    target = tmp_path / "x.gguf"
    target.write_bytes(b"old")
    with pytest.raises(ModelFileError, match=r"'blk\.0\.ffn_up\.weight': .* cannot hold NaN"):
        convert_model(source, target, format="gguf", quantize=GGMLType.Q4_0)
    assert target.read_bytes() == b"old"


def test_options_that_make_no_sense_are_refused(tiny_gguf: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"format": "hf", "quantize": GGMLType.Q4_0}, "hold F32, F16 or BF16, not Q4_0"),
        ({"format": "apr", "quantize": GGMLType.IQ1_S}, "no quantizer for IQ1_S; .*Q4_K"),
        ({"format": "gguf", "max_shard_size": 5}, "GGUF files are not written in shards"),
        ({"format": "gguf", "compression": "lz4"}, "only APR files are compressed"),
        ({"format": "apr", "max_shard_size": -1}, "must be positive"),
        ({"format": "hf", "max_shard_size": 0}, "must be positive"),
    ):
        with pytest.raises(InputError, match=message):
            convert_model(tiny_gguf, tmp_path / "x", **options)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


class TestPlantedDefects:
    """What a conversion checks before the target takes its place."""

    def test_rows_not_permuted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(converting, "row_order", lambda *_: None)
        convert_model(TINY / "llama", tmp_path / "x.gguf", format="gguf")
        assert not np.allclose(logits(tmp_path / "x.gguf"), logits(TINY / "llama"), atol=1e-2)

    def test_norms_not_shifted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(converting, "norm_shift", lambda *_: 0.0)
        convert_model(TINY / "gemma3", tmp_path / "x.gguf", format="gguf")
        assert not np.allclose(logits(tmp_path / "x.gguf"), logits(TINY / "gemma3"), atol=1e-2)

    def test_divisors_forgotten(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(converting, "rope_divisors", lambda _: None)
        with pytest.raises(UnsupportedFormatError, match="rope_scaling"):
            convert_model(TINY / "llama", tmp_path / "x.gguf", format="gguf")

    def test_merges_forgotten(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        made = converting.made_tokenizer

        def without_merges(spec: Any) -> Any:
            document = made(spec)
            document["model"]["merges"] = document["model"]["merges"][:-40]
            return document

        monkeypatch.setattr(converting, "made_tokenizer", without_merges)
        with pytest.raises((TokenizerError, EngineError), match="other ids"):
            convert_model(TINY_MODEL, tmp_path / "hf", format="hf")
        assert not (tmp_path / "hf").exists()


@pytest.mark.parametrize("compression", ["lz4", "zstd", None])
@pytest.mark.parametrize("max_shard_size", [500_000, None])
def test_compressed_and_cut_apr_is_the_same_model(
    compression: Any, max_shard_size: int | None, tmp_path: Path
) -> None:
    target = tmp_path / "x.apr"
    report = convert_model(
        TINY_MODEL,
        target,
        format="apr",
        compression=compression,
        max_shard_size=max_shard_size,
    )
    assert target.is_dir() == (max_shard_size is not None)
    if target.is_dir():
        assert len(list(target.iterdir())) > 3
    with open_model(TINY_MODEL) as before, open_model(target) as after:
        assert digests(after) == digests(before) == report.digests
    convert_model(target, tmp_path / "back.gguf", format="gguf")
    assert (tmp_path / "back.gguf").read_bytes() == TINY_MODEL.read_bytes()
    np.testing.assert_array_equal(logits(target), logits(TINY_MODEL))


def test_apr_to_apr_keeps_everything(tiny_apr: Path, tmp_path: Path) -> None:
    convert_model(tiny_apr, tmp_path / "y.apr", format="apr")
    assert (tmp_path / "y.apr").read_bytes() == tiny_apr.read_bytes()
    with AprFile(tmp_path / "y.apr", verify=True) as file:
        assert len(file.tensors) == 27
