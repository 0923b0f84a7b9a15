"""Matrix product of float32 matrices; quantized weights have their own room, ``qmatmul``."""

from __future__ import annotations

from inference.kernels.arguments import Float32, float32_array, same_size
from inference.kernels.signature import Run, signature

__all__ = ["matmul"]


@signature("matmul-kernel-v1")
def matmul(run: Run, a: Float32, b: Float32) -> Float32:
    """Multiply two matrices; transposed views are used as they are, without a copy.

    Shapes:
        a: [m, k] float32; b: [k, n] float32
        returns: [m, n] float32
    Raises:
        TypeError: a or b is not a float32 array.
        ValueError: not two matrices, or their inner sizes differ.
    Contract: contracts/kernels/matmul-kernel-v1.yaml
    """
    a = float32_array("matmul", "a", a, ndim=2)
    b = float32_array("matmul", "b", b, ndim=2)
    same_size("matmul", "a.shape[1]", a.shape[1], "b.shape[0]", b.shape[0])
    return run(a, b)
