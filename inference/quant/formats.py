"""How tensors of a type are read and written: one row a type.

Sizes and numbers are those of the ``gguf`` package, see ``types``. A type that products read packed
has one more row, in `inference.kernels.qmatmul.fused`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from inference.quant import absmax, i_quants, k_quants, k_search, legacy, reference, small_floats
from inference.quant.types import AprType, GGMLType, TensorType


@dataclass(frozen=True, slots=True)
class Format:
    """The functions of one type; what it cannot do is None.

    ``decode`` fills [n, weights] float32 from blocks [n, bytes]; ``encode`` is its inverse;
    ``parse`` reads one block as numbers, a scale for at most 32 levels, in plain Python: what the
    other two are tested against, and what the scalar product of packed weights is made from.
    """

    decode: Callable[[legacy.Bytes, legacy.Floats], None]
    encode: Callable[[legacy.Floats], legacy.Bytes] | None = None
    parse: Callable[[Sequence[int]], reference.Block] | None = None


FORMATS: Mapping[TensorType, Format] = MappingProxyType(
    {
        GGMLType.F32: Format(legacy.decode_f32, legacy.encode_f32),
        GGMLType.F16: Format(legacy.decode_f16, legacy.encode_f16),
        GGMLType.BF16: Format(legacy.decode_bf16, legacy.encode_bf16),
        GGMLType.Q4_0: Format(legacy.decode_q4_0, legacy.encode_q4_0, reference.parse_q4_0),
        GGMLType.Q4_1: Format(legacy.decode_q4_1, legacy.encode_q4_1, reference.parse_q4_1),
        GGMLType.Q5_0: Format(legacy.decode_q5_0, legacy.encode_q5_0, reference.parse_q5_0),
        GGMLType.Q5_1: Format(legacy.decode_q5_1, legacy.encode_q5_1, reference.parse_q5_1),
        GGMLType.Q8_0: Format(legacy.decode_q8_0, legacy.encode_q8_0, reference.parse_q8_0),
        GGMLType.Q2_K: Format(k_quants.decode_q2_k),
        GGMLType.Q3_K: Format(k_quants.decode_q3_k),
        GGMLType.Q4_K: Format(k_quants.decode_q4_k, k_search.encode_q4_k, reference.parse_q4_k),
        GGMLType.Q5_K: Format(k_quants.decode_q5_k, k_search.encode_q5_k, reference.parse_q5_k),
        GGMLType.Q6_K: Format(k_quants.decode_q6_k, k_search.encode_q6_k, reference.parse_q6_k),
        GGMLType.Q8_K: Format(small_floats.decode_q8_k),
        GGMLType.IQ1_S: Format(i_quants.decode_iq1_s),
        GGMLType.IQ1_M: Format(i_quants.decode_iq1_m),
        GGMLType.IQ2_XXS: Format(i_quants.decode_iq2_xxs),
        GGMLType.IQ2_XS: Format(i_quants.decode_iq2_xs),
        GGMLType.IQ2_S: Format(i_quants.decode_iq2_s),
        GGMLType.IQ3_XXS: Format(i_quants.decode_iq3_xxs),
        GGMLType.IQ3_S: Format(i_quants.decode_iq3_s),
        GGMLType.IQ4_NL: Format(i_quants.decode_iq4_nl),
        GGMLType.IQ4_XS: Format(i_quants.decode_iq4_xs),
        GGMLType.Q1_0: Format(small_floats.decode_q1_0),
        GGMLType.TQ1_0: Format(small_floats.decode_tq1_0),
        GGMLType.TQ2_0: Format(small_floats.decode_tq2_0),
        GGMLType.MXFP4: Format(small_floats.decode_mxfp4),
        GGMLType.NVFP4: Format(small_floats.decode_nvfp4),
        GGMLType.F64: Format(legacy.decoder_of("<f8")),
        GGMLType.I8: Format(legacy.decoder_of("<i1")),
        GGMLType.I16: Format(legacy.decoder_of("<i2")),
        GGMLType.I32: Format(legacy.decoder_of("<i4")),
        GGMLType.I64: Format(legacy.decoder_of("<i8")),
        AprType.APR_Q4: Format(absmax.decode_apr_q4, absmax.encode_apr_q4),
        AprType.APR_Q8: Format(legacy.decoder_of("<i1")),
    }
)
