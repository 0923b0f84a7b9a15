"""`apr convert`: a model in another format, with other tensor types."""

from __future__ import annotations

from typing import Annotated

import typer

from inference.cli.common import JsonOption, ModelArgument, model_path
from inference.cli.writing import (
    CompressOption,
    FormatOption,
    OutputOption,
    ShardOption,
    format_of,
    size_in_bytes,
    type_of,
    write_model,
)

EXAMPLES = """
apr convert hf-directory -o model.gguf --quantize q4_k
apr convert model.gguf -o model.apr --quantize q8_0 --json
apr convert model.gguf -o hf-directory --quantize bf16 --max-shard-size 2GB
"""


def app_command(
    model: ModelArgument,
    output: OutputOption,
    format: FormatOption = None,
    quantize: Annotated[
        str | None,
        typer.Option("--quantize", metavar="TYPE", help="Type of the matrices: q4_k, q8_0, f16 …"),
    ] = None,
    compress: CompressOption = None,
    max_shard_size: ShardOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model in another format, or with its matrices in another type.

    Matrices whose rows the blocks do not divide get the nearest type that fits; vectors stay as
    they are. What was written is read back and compared before it takes the place of an old file.
    """
    from inference.surgery.converting import convert_model

    source, wanted, dtype = model_path(model), format_of(output, format), type_of(quantize)
    shard = size_in_bytes(max_shard_size)
    write_model(
        source,
        lambda advance: convert_model(
            source,
            output,
            format=wanted,
            quantize=dtype,
            compression=compress,
            max_shard_size=shard,
            progress=advance,
        ),
        as_json=as_json,
    )
