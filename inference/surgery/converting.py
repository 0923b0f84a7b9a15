"""Conversion between GGUF, APR and Hugging Face directories.

One plan per target: which tensors, under which names and types, with which metadata. The writers
stream, and what they wrote is read back and compared before it takes the target's place: bytes by
digest, hyper-parameters field by field, the tokenizer by what it makes of a few texts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from inference.errors import (
    InputError,
    ModelFileError,
    UnsupportedArchitectureError,
    UnsupportedFormatError,
)
from inference.formats import ModelFile, open_model
from inference.formats.apr.compression import Compression
from inference.formats.apr.shards import write_apr_shards
from inference.formats.apr.writer import write_apr
from inference.formats.base import TensorInfo
from inference.formats.config import architecture_of, model_config
from inference.formats.config.hyperparameters import Dialect, Hyperparameters
from inference.formats.gguf.writer import write_gguf
from inference.formats.hf.files import CONFIG, SETTINGS, TOKENIZER
from inference.formats.hf.writer import SAFETENSORS_TYPES, write_hf_directory
from inference.formats.jsonfile import dump_object
from inference.formats.mapped import check_unchanged
from inference.formats.names import to_hf
from inference.formats.tokenizer import tokenizer_spec
from inference.formats.writing import TensorSource
from inference.model.architectures import ARCHITECTURES
from inference.model.config import ModelConfig
from inference.quant.types import AprType, GGMLType, TensorType
from inference.staging import check_target
from inference.surgery.apr_metadata import apr_metadata, quantization_section
from inference.surgery.checking import (
    check_library_tokenizer,
    check_tokenizer,
    differing_fields,
)
from inference.surgery.dialects import (
    DIVISORS,
    norm_shift,
    rope_divisors,
    row_order,
    scaling_of_divisors,
)
from inference.surgery.gguf_metadata import gguf_metadata_of, made_gguf_metadata, with_file_type
from inference.surgery.hf_config import hf_files_of, made_config
from inference.surgery.hf_tokenizer_files import made_tokenizer, made_tokenizer_config
from inference.surgery.tensors import (
    Conversion,
    Progress,
    Recipe,
    check_quantizable,
    fitting_type,
)

Format = Literal["gguf", "apr", "hf"]
FLOATS = (GGMLType.F32, GGMLType.F16, GGMLType.BF16)
_TORCH_NAMES = {GGMLType.F32: "float32", GGMLType.F16: "float16", GGMLType.BF16: "bfloat16"}


@dataclass(frozen=True, slots=True)
class ConversionReport:
    """What a conversion wrote.

    ``digests`` maps canonical names to SHA-256 of the packed bytes, ``kept`` counts the tensors
    whose bytes are those of the source, ``types`` how many tensors have each type.
    """

    source: Path
    target: Path
    format: Format
    architecture: str
    tensors: int
    kept: int
    nbytes: int
    types: dict[str, int]
    digests: dict[str, str] = field(repr=False)


def convert_model(
    source: str | Path,
    target: str | Path,
    *,
    format: Format,
    quantize: TensorType | None = None,
    compression: Compression | None = None,
    max_shard_size: int | None = None,
    progress: Progress | None = None,
) -> ConversionReport:
    """Write a model in another format or with other types.

    Tensors keep their bytes where the target can hold them; others are expanded to float32. With
    ``quantize`` matrices get that type, or the nearest whose blocks divide a row; vectors stay as
    they are. Between GGUF and Hugging Face the values change as llama.cpp's converter changes them.
    ``compression`` is for APR alone; ``max_shard_size`` (bytes) makes an APR set, or a Hugging Face
    directory of several files.

    Raises:
        ModelFileError, TokenizerError: the source is damaged or has no tokenizer, or the target
            cannot be written; it is then as it was.
        UnsupportedFormatError: the target cannot express what the source says.
        UnsupportedArchitectureError: tensors would change dialect, and nobody knows how.
        InputError: no quantizer for the type, or a type that the target does not hold.
    """
    source, target = Path(source), Path(target)
    directory = format == "hf" or max_shard_size is not None
    _check_target(source, target, directory=directory)
    check_target(target, directory=directory)
    with open_model(source) as file:
        _check_options(format, quantize, compression, max_shard_size)
        architecture = architecture_of(file)
        # Damage and contradictions are to show before anything is written.
        config = model_config(file) if architecture in ARCHITECTURES else None
        plan = {"gguf": _to_gguf, "apr": _to_apr, "hf": _to_hf}[format]
        job = _Job(file, target, config, quantize, compression, max_shard_size, progress)
        conversion = plan(job)
        return ConversionReport(
            source,
            target,
            format,
            architecture,
            len(conversion.recipes) + len(conversion.added),
            sum(recipe.keeps_bytes for recipe in conversion.recipes),
            _size(target),
            conversion.types(),
            conversion.digests,
        )


@dataclass(frozen=True, slots=True)
class _Job:
    file: ModelFile
    target: Path
    config: ModelConfig | None
    quantize: TensorType | None
    compression: Compression | None
    max_shard_size: int | None
    progress: Progress | None

    @property
    def architecture(self) -> str:
        return architecture_of(self.file)

    @property
    def dialect(self) -> Dialect:
        """Whose conventions the values of the tensors follow."""
        return Hyperparameters(self.file, self.architecture).weights_of

    def crossing(self, to: Dialect) -> ModelConfig | None:
        """Return the configuration when tensors change dialect, ``None`` when they do not.

        ``UnsupportedArchitectureError`` when they would, and the architecture is not known.
        """
        if self.dialect == to:
            return None
        if self.config is None:
            raise UnsupportedArchitectureError(
                f"{self.file.path}: architecture {self.architecture!r} cannot be converted between "
                f"GGUF and Hugging Face; supported: {', '.join(sorted(ARCHITECTURES))}"
            )
        return self.config


def _to_apr(job: _Job) -> Conversion:
    names = {name: to_hf(name, job.architecture) for name in job.file.tensors}
    recipes = [
        Recipe(info, names[info.name], _kept_or_packed(job, info)) for info in _tensors(job.file)
    ]
    conversion = Conversion(job.file, recipes, progress=job.progress)
    metadata = apr_metadata(job.file)
    if job.quantize is not None:
        metadata["quantization"] = quantization_section(job.quantize)
        metadata["total_size"] = sum(tensor.nbytes for tensor in conversion.sources())

    def check(written: ModelFile) -> None:
        _check_written(job, conversion, written)

    where, sources = (job.target, metadata), conversion.sources()
    if job.max_shard_size is None:
        write_apr(*where, sources, compression=job.compression, check=check)
    else:
        write_apr_shards(
            *where,
            sources,
            max_shard_size=job.max_shard_size,
            compression=job.compression,
            check=check,
        )
    return conversion


def _to_gguf(job: _Job) -> Conversion:
    config = job.crossing("gguf")
    recipes, added = [], {}
    for info in _tensors(job.file):
        dtype = _kept_or_packed(job, info)
        order, shift = None, 0.0
        if config is not None:
            order = row_order(info.name, config, "gguf")
            shift = norm_shift(info.name, config, "gguf")
        if isinstance(dtype, AprType) or (
            config is not None and len(info.shape) == 1 and dtype in FLOATS
        ):
            dtype = GGMLType.F32  # GGUF lacks APR's types, and llama.cpp wants float32 vectors
        recipes.append(Recipe(info, info.name, dtype, order, shift))
    if config is not None and (divisors := rope_divisors(config)) is not None:
        if not ARCHITECTURES[config.architecture].rope_divisors:
            raise UnsupportedFormatError(
                job.file.path,
                "GGUF cannot express rotary scaling 'llama3' of architecture "
                f"{config.architecture}: its divisors are read for llama alone",
            )
        data = divisors.astype("<f4").tobytes()
        shape = divisors.shape
        added[DIVISORS] = TensorSource(DIVISORS, GGMLType.F32, shape, lambda: [data])
    metadata = gguf_metadata_of(job.file)
    if metadata is None:
        config = job.config
        if config is None:
            raise UnsupportedArchitectureError(
                f"{job.file.path}: architecture {job.architecture!r} has no GGUF metadata; "
                f"supported: {', '.join(sorted(ARCHITECTURES))}"
            )
        names = [recipe.target_name for recipe in recipes]
        metadata = made_gguf_metadata(job.file, config, tokenizer_spec(job.file), names)
    if job.quantize is not None:
        metadata = with_file_type(metadata, job.quantize.name)
    recipes = _in_order(recipes, metadata.tensor_order)
    conversion = Conversion(job.file, recipes, added=added, progress=job.progress)
    write_gguf(
        job.target,
        metadata.values,
        metadata.types,
        conversion.sources(),
        alignment=metadata.alignment,
        check=lambda f: _check_written(job, conversion, f),
    )
    return conversion


def _to_hf(job: _Job) -> Conversion:
    config = job.crossing("hf")
    recipes = []
    dropped = {DIVISORS} & job.file.tensors.keys() if config is not None else set()
    for info in _tensors(job.file):
        if info.name in dropped:
            continue
        order, shift = None, 0.0
        if config is not None:
            order = row_order(info.name, config, "hf")
            shift = norm_shift(info.name, config, "hf")
        dtype = job.quantize or info.dtype
        if dtype not in SAFETENSORS_TYPES or (shift and dtype not in FLOATS):
            dtype = GGMLType.F32
        recipes.append(Recipe(info, to_hf(info.name, job.architecture), dtype, order, shift))
    conversion = Conversion(job.file, recipes, dropped=dropped, progress=job.progress)
    write_hf_directory(
        job.target,
        _hf_files(job, recipes),
        conversion.sources(),
        max_shard_size=job.max_shard_size,
        check=lambda f: _check_written(job, conversion, f),
    )
    return conversion


def _tensors(file: ModelFile) -> list[TensorInfo]:
    return list(file.tensors.values())


def _kept_or_packed(job: _Job, info: TensorInfo) -> TensorType:
    """Return the type of a tensor in a file that holds packed ones: vectors are never packed."""
    if job.quantize is None or len(info.shape) == 1:
        return info.dtype
    return fitting_type(job.quantize, info)


def _in_order(recipes: list[Recipe], names: list[str]) -> list[Recipe]:
    """Return the recipes as the names are ordered; those that it does not list come last."""
    place = {name: number for number, name in enumerate(names)}
    return sorted(recipes, key=lambda recipe: place.get(recipe.target_name, len(place)))


def _hf_files(job: _Job, recipes: list[Recipe]) -> dict[str, dict[str, Any]]:
    """Return the JSON files of a directory: the source's own, or made from what it says."""
    spec = tokenizer_spec(job.file)
    kept = hf_files_of(job.file)
    if kept is None:
        config = job.config
        assert config is not None, "only known architectures leave GGUF"
        scaling = scaling_of_divisors(job.file, config) or config.rope_scaling
        kept = {CONFIG: made_config(config, spec, scaling, _torch_name(recipes))}
    elif job.quantize is not None:
        kept[CONFIG] = {**kept[CONFIG], "torch_dtype": _torch_name(recipes)}
        kept[CONFIG].pop("dtype", None)
    if TOKENIZER not in kept:
        kept[TOKENIZER] = made_tokenizer(spec)
        check_library_tokenizer(dump_object(kept[TOKENIZER]), spec)
    if SETTINGS not in kept:
        kept[SETTINGS] = made_tokenizer_config(spec)
    elif spec.chat_template is not None:
        kept[SETTINGS] = {"chat_template": spec.chat_template, **kept[SETTINGS]}
    return kept


def _torch_name(recipes: list[Recipe]) -> str:
    """Return PyTorch's name of the type that most bytes have."""
    sizes = dict.fromkeys(_TORCH_NAMES, 0)
    for recipe in recipes:
        if recipe.dtype in sizes:
            sizes[recipe.dtype] += recipe.info.nbytes
    return _TORCH_NAMES[max(sizes, key=lambda dtype: sizes[dtype])]


def _check_written(job: _Job, conversion: Conversion, written: ModelFile) -> None:
    """Refuse a written model that is not the source: tensors, hyper-parameters, tokenizer.

    The source must still be what it was when it was opened.
    """
    check_unchanged(job.file.path)
    conversion.check(written)
    if job.config is not None:
        lost = differing_fields(job.config, model_config(written))
        if lost:
            raise UnsupportedFormatError(
                job.file.path,
                f"{written.format} files cannot express this model's {', '.join(lost)}",
            )
    check_tokenizer(job.file.path, tokenizer_spec(job.file), tokenizer_spec(written))
    check_unchanged(job.file.path)


def _check_target(source: Path, target: Path, *, directory: bool) -> None:
    if not directory and target.is_dir():
        raise ModelFileError(target, "cannot be the target: it is a directory")
    inside = source.is_dir() and target.resolve().parent == source.resolve()
    if (inside and target.exists()) or target.resolve() == source.resolve():
        raise ModelFileError(target, "cannot be the target: it is a part of the source")


def _check_options(
    format: Format,
    quantize: TensorType | None,
    compression: Compression | None,
    max_shard_size: int | None,
) -> None:
    if quantize is not None:
        check_quantizable(quantize)
        if format == "hf" and quantize not in FLOATS:
            raise InputError(f"safetensors files hold F32, F16 or BF16, not {quantize.name}")
        if format == "gguf" and isinstance(quantize, AprType):
            raise InputError(f"{quantize.name} is a type of APR files alone")
    if compression is not None and format != "apr":
        raise InputError("only APR files are compressed")
    if max_shard_size is not None and format == "gguf":
        raise InputError("GGUF files are not written in shards; APR and Hugging Face's are")


def _size(target: Path) -> int:
    files = target.iterdir() if target.is_dir() else [target]
    return sum(path.stat().st_size for path in files)
