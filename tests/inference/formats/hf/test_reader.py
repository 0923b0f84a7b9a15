from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.numpy import load_file, save_file

from inference.errors import EngineError, ModelFileError, UnsupportedFormatError
from inference.formats import open_model
from inference.formats.config import model_config
from inference.formats.hf.reader import HfDirectory
from inference.formats.hf.safetensors import read_safetensors
from inference.formats.names import to_hf
from inference.formats.overlay import tensor_values
from inference.formats.tokenizer import tokenizer_spec
from inference.quant.types import GGMLType


def made(header: Any, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(
    dtype: Any = "F32", shape: Any = (2, 4), begin: Any = 0, end: Any = 32
) -> dict[str, dict[str, Any]]:
    return {"t": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


@pytest.mark.parametrize("shards", [1, 3])
def test_reads_what_the_safetensors_package_reads(
    shards: int, make_hf: Callable[..., Path]
) -> None:
    path = make_hf(shards=shards)
    compared = 0
    with open_model(path) as ours:
        assert ours.format == "hf"
        for shard in path.glob("*.safetensors"):
            with safe_open(shard, "numpy") as theirs:
                for hf_name in theirs.keys():  # noqa: SIM118 - it is no mapping
                    (info,) = [i for i in ours.tensors.values() if i.file_name == hf_name]
                    array = theirs.get_tensor(hf_name)
                    assert to_hf(info.name, "qwen2") == hf_name
                    assert info.shape == array.shape
                    assert info.dtype.name == {"float32": "F32", "float16": "F16"}[str(array.dtype)]
                    assert ours.raw(info.name).tobytes() == array.tobytes()
                    compared += 1
        assert compared == len(ours.tensors) == 27


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8"])
def test_element_types(dtype: str, tmp_path: Path) -> None:
    size = {"4": 8, "2": 4, "6": 2, "8": 1}[dtype[-1]]
    data = bytes(range(8 * size))
    path = tmp_path / "t.safetensors"
    path.write_bytes(made(entry(dtype, [2, 4], 0, len(data)), data))
    ((name, theirs),) = deserialize(path.read_bytes())
    file, (info,) = read_safetensors(path)
    assert info.dtype is GGMLType[dtype]
    assert info.shape == tuple(theirs["shape"])
    assert (info.name, file.view(info.offset, info.nbytes).tobytes()) == (name, theirs["data"])


_BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "cut length": (b"\1\0\0", "the header length needs 8 bytes"),
    "huge length": (made({}, length=2**63), "claims"),
    "header past the end": (made({}, length=50), "the header needs 50 bytes"),
    "not JSON": (made(b"{"), "bad header"),
    "not UTF-8": (made(b'{"\xff":1}'), "bad header"),
    "nested": (made(b'{"a":' + b"[" * 100_000), "bad header"),
    "a list": (made([]), "not a JSON object"),
    "duplicate name": (made(b'{"t":{},"t":{}}'), "occurs twice"),
    "entry a number": (made({"t": 1}), "not a JSON object"),
    "entry empty": (made({"t": {}}), "element type 'None'"),
    "unknown type": (made(entry("F8_E4M3", [32]), bytes(32)), "element type 'F8_E4M3'"),
    "type a list": (made(entry([1]), bytes(32)), "element type"),
    "shape a text": (made(entry(shape="24"), bytes(32)), "bad shape"),
    "shape negative": (made(entry(shape=[-2, -4]), bytes(32)), "bad shape"),
    "shape overflows": (made(entry(shape=[2**62, 4]), bytes(32)), "bad shape"),
    "shape of booleans": (made(entry(shape=[True, 8]), bytes(32)), "bad shape"),
    "scalar of two values": (made(entry(shape=[], end=8), bytes(8)), "takes 4 bytes, not 8"),
    "rank 9": (made(entry(shape=[1] * 9, end=4), bytes(4)), "bad shape"),
    "offsets reversed": (made(entry(begin=32, end=0), bytes(32)), "bad data_offsets"),
    "offset a float": (made(entry(end=32.0), bytes(32)), "bad data_offsets"),
    "offset a text": (made(entry(end="32"), bytes(32)), "bad data_offsets"),
    "size mismatch": (made(entry(end=28), bytes(28)), "takes 32 bytes, not 28"),
    "hole": (made(entry(begin=8, end=40), bytes(40)), "begins at"),
    "data cut": (made(entry(), bytes(31)), "tensors end at"),
    "data left over": (made(entry(), bytes(33)), "tensors end at"),
}


@pytest.mark.parametrize("name", _BROKEN)
def test_broken_files_are_refused(name: str, tmp_path: Path) -> None:
    data, message = _BROKEN[name]
    path = tmp_path / "t.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError, match=message) as caught:
        read_safetensors(path)
    assert caught.value.offset is not None


def test_overlaps_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(made({"a": entry()["t"], "b": entry()["t"]}, bytes(32)))
    with pytest.raises(ModelFileError, match="begins at"):
        read_safetensors(path)


def test_unsupported_types_are_told_from_damage(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    path.write_bytes(made(entry("BOOL", [32]), bytes(32)))
    with pytest.raises(UnsupportedFormatError, match="'BOOL'"):
        read_safetensors(path)


def test_what_we_accept_the_safetensors_package_accepts(
    make_hf: Callable[..., Path],
    mutations: Callable[..., Iterator[bytes]],
    overwrite: Callable[[Path, bytes], None],
    tmp_path: Path,
) -> None:
    data = (make_hf() / "model.safetensors").read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    path = tmp_path / "damaged.safetensors"
    accepted = 0
    for broken in mutations(data, 2000, seed=3, upto=header):
        overwrite(path, broken)
        try:
            file, infos = read_safetensors(path)
        except ModelFileError:
            continue
        accepted += 1
        try:
            theirs = dict(deserialize(broken))
        except SafetensorError as error:  # it checks the text values of __metadata__ and key sets
            pytest.fail(f"accepted what the package refuses: {error}")
        assert {info.name: list(info.shape) for info in infos} == {
            name: tensor["shape"] for name, tensor in theirs.items()
        }
        file.close()
    assert accepted > 20


@pytest.mark.untraced
def test_damaged_directories_give_a_result_or_a_typed_error(
    make_hf: Callable[..., Path],
    mutations: Callable[..., Iterator[bytes]],
    survives: Callable[[Path], bool],
    overwrite: Callable[[Path, bytes], None],
) -> None:
    path = make_hf(shards=2)
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors.index.json",
    ):
        data = (path / name).read_bytes()
        outcomes = []
        for broken in mutations(data, 500, seed=4):
            overwrite(path / name, broken)
            outcomes.append(survives(path))
        assert not all(outcomes), name
        (path / name).write_bytes(data)
    assert survives(path)


def test_no_config(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormatError, match=r"without config\.json"):
        HfDirectory(tmp_path)


def test_no_weights(make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    (path / "model.safetensors").unlink()
    with pytest.raises(ModelFileError, match="has neither"):
        HfDirectory(path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({}, "no weight_map"),
        ({"weight_map": {}}, "no weight_map"),
        ({"weight_map": {"a": 1}}, "no safetensors file here"),
        ({"weight_map": {"a": "../model.safetensors"}}, "no safetensors file here"),
        ({"weight_map": {"a": "/etc/passwd"}}, "no safetensors file here"),
        ({"weight_map": {"a": "gone.safetensors"}}, "no such file"),
        ({"weight_map": {"a": "part-0.safetensors"}}, "disagree about tensor"),
    ],
)
def test_bad_indexes(index: Any, message: str, make_hf: Callable[..., Path]) -> None:
    path = make_hf(shards=2)
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match=message):
        HfDirectory(path)


def test_a_tensor_in_two_shards_is_refused(make_hf: Callable[..., Path]) -> None:
    path = make_hf(shards=1)
    (path / "model.safetensors").rename(path / "a.safetensors")
    (path / "b.safetensors").write_bytes((path / "a.safetensors").read_bytes())
    _, infos = read_safetensors(path / "a.safetensors")
    listed = {info.name: "a.safetensors" for info in infos}
    index = {"weight_map": listed | {infos[0].name: "b.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelFileError, match="disagree about tensor"):
        HfDirectory(path)


def test_one_file_counts_over_an_index_that_was_left_behind(make_hf: Callable[..., Path]) -> None:
    path = make_hf(shards=2)
    arrays = {}
    for shard in path.glob("part-*.safetensors"):
        arrays |= load_file(shard)
    arrays["model.norm.weight"] = arrays["model.norm.weight"] + 1
    save_file(arrays, path / "model.safetensors")
    with open_model(path) as file:
        found = tensor_values(file, "output_norm.weight")
    np.testing.assert_array_equal(found, arrays["model.norm.weight"])
    for shard in path.glob("part-*.safetensors"):
        shard.unlink()
    open_model(path).close()


def test_stored_rotary_frequencies_are_left_out(make_hf: Callable[..., Path]) -> None:
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    with open_model(make_hf(tensors={name: np.ones(8, np.float32)})) as file:
        assert not [found for found in file.tensors if "inv_freq" in found]
        model_config(file)


def test_scalars_and_empty_tensors(make_hf: Callable[..., Path]) -> None:
    odd = {"k_scale": np.array(2, np.float32), "marker": np.zeros((0, 3), np.float32)}
    with open_model(make_hf(tensors=odd)) as file:
        assert file.tensors["k_scale"].shape == ()
        assert file.raw("k_scale").view(np.float32).tolist() == [2.0]
        assert file.tensors["marker"].shape == (0, 3)
        assert file.raw("marker").size == 0


def moved(path: Path, rename: Callable[[str], str | None]) -> Path:
    arrays = load_file(path / "model.safetensors")
    renamed = {rename(name): array for name, array in arrays.items()}
    save_file({n: a for n, a in renamed.items() if n is not None}, path / "model.safetensors")
    return path


@pytest.mark.parametrize("length", [0x0280, 0x0480])
def test_a_header_as_long_as_a_pickle_begins(length: int, tmp_path: Path) -> None:
    """Its length is written first, and reads like the first bytes of another kind of file."""
    header = json.dumps(entry()).encode().ljust(length)
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", length) + header + bytes(32))
    file, infos = read_safetensors(tmp_path / "x.safetensors")
    assert [info.name for info in infos] == ["t"]
    file.close()


def test_names_of_a_model_saved_without_its_head(make_hf: Callable[..., Path]) -> None:
    with open_model(make_hf()) as file:
        expected = {*file.tensors} - {"output.weight"}
        file.close()
    path = moved(file.path, lambda n: n.removeprefix("model.") if n.startswith("model.") else None)
    with open_model(path) as file:
        assert {*file.tensors} == expected


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_the_text_model_of_a_multimodal_one(prefix: str, make_hf: Callable[..., Path]) -> None:
    path = make_hf(tensors={"vision_tower.patch.weight": np.ones((2, 2), np.float32)})
    with open_model(path) as file:
        expected = {*file.tensors} - {"vision_tower.patch.weight"}
        config = model_config(open_model(make_plain(path)))
    nested = json.loads((path / "config.json").read_text())
    whole = {"model_type": "some_vl", "text_config": nested, "eos_token_id": 5}
    (path / "config.json").write_text(json.dumps(whole))

    def rename(name: str) -> str:
        if name.startswith("lm_head"):
            return f"language_model.{name}"
        return name.replace("model.", prefix, 1) if name.startswith("model.") else name

    with open_model(moved(path, rename)) as file:
        assert {*file.tensors} == expected
        assert model_config(file) == config
        assert file.metadata["eos_token_id"] == nested["eos_token_id"]


def make_plain(path: Path) -> Path:
    """Return a copy without the vision tower."""
    plain = path.with_name("plain")
    shutil.copytree(path, plain)
    return moved(plain, lambda name: None if name.startswith("vision") else name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adapter_config.json", "this is an adapter"),
        ("pytorch_model.bin", r"pytorch_model\.bin is no safetensors file"),
    ],
)
def test_what_lies_there_in_place_of_weights(
    name: str, message: str, make_hf: Callable[..., Path]
) -> None:
    path = make_hf()
    (path / "model.safetensors").unlink()
    (path / name).write_text("{}")
    with pytest.raises(ModelFileError, match=message):
        open_model(path)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_pointer_of_git_lfs_is_named(name: str, make_hf: Callable[..., Path]) -> None:
    path = make_hf()
    (path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(EngineError, match="Git LFS pointer"), open_model(path) as file:
        tokenizer_spec(file)


def test_untied_embeddings_need_a_head(make_hf: Callable[..., Path]) -> None:
    """Silence means untied, by the defaults of Transformers' classes for all but Gemma 3."""
    path = make_hf(tensors={"lm_head.weight": None}, changed={"tie_word_embeddings": None})
    with open_model(path) as file, pytest.raises(ModelFileError, match=r"lm_head\.weight"):
        model_config(file)
