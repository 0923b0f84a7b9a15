"""Compiled functions that are called by their address, so that nobody is compiled with them.

Numba puts a copy of the code of all that a function calls, and of all that those call, into its
own, where it is optimized once more. By address a function is compiled once, by itself, and only
where somebody asks for the address. What it raises is raised by its caller, as with any other.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def calling(signature: Any) -> Any:
    """Return how compiled code calls a function of this signature: ``call(address, arguments)``.

    The arguments are a tuple, and are converted to the types of the signature.
    """

    def call(typing_context, address, arguments):  # type: ignore[no-untyped-def]
        def generate(context, builder, called, values):  # type: ignore[no-untyped-def]
            address, arguments = values
            convention = context.call_conv
            kind = convention.get_function_type(signature.return_type, signature.args)
            function = builder.inttoptr(address, kind.as_pointer())
            given = cgutils.unpack_tuple(builder, arguments)
            status, result = convention.call_function(
                builder, function, signature.return_type, signature.args, given
            )
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return signature.return_type(types.int64, types.Tuple(signature.args)), generate

    return intrinsic(call)


@cache
def code_of(function: Any, signature: Any) -> int:
    """Return the address of a compiled function, for `calling` of the same signature.

    It stays as long as the process lives. A function that returns anything else is a `TypeError`.
    """
    function.compile(signature.args)
    found = function.overloads[signature.args]
    returned = types.unliteral(found.signature.return_type)
    if returned != signature.return_type:
        raise TypeError(f"{function} returns {returned}, not {signature.return_type}")
    address: int = found.library.get_pointer_to_function(found.fndesc.llvm_func_name)
    return address
