"""`apr export`: a model leaves for another format, its values kept."""

from __future__ import annotations

from inference.cli.common import JsonOption, ModelArgument, model_path
from inference.cli.writing import (
    CompressOption,
    FormatOption,
    OutputOption,
    ShardOption,
    format_of,
    size_in_bytes,
    write_model,
)

EXAMPLES = """
apr export model.apr -o model.gguf
apr export model.apr -o hf-directory --max-shard-size 2GB
apr export smollm2-135m-instruct -o model.apr --compress zstd --json
"""


def app_command(
    model: ModelArgument,
    output: OutputOption,
    format: FormatOption = None,
    compress: CompressOption = None,
    max_shard_size: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model as GGUF, as APR, or as a Hugging Face directory, without quantizing anew.

    Tensors keep their bytes where the format holds their type; the rest are expanded to float32.
    Tokenizer, chat template and metadata go along. What was written is read back and compared
    before it takes the place of an old file.
    """
    from inference.surgery.converting import convert_model

    source, wanted = model_path(model), format_of(output, format)
    shard = size_in_bytes(max_shard_size)
    write_model(
        source,
        lambda advance: convert_model(
            source,
            output,
            format=wanted,
            compression=compress,
            max_shard_size=shard,
            progress=advance,
        ),
        as_json=as_json,
    )
