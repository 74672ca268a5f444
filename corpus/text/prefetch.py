"""A hint to the processor for compiled kernels: that an element of an array is needed soon.

Rows of a large matrix that are read in no order are waited for, some 100 ns each. Asked for a few
rows ahead, they are there when they are needed: sums of rows of 800 MB take a third of the time.
A hint changes no result, and one for memory that is not there does no harm.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1  # of llvm.prefetch: for reading, into all caches, not instructions


@intrinsic  # type: ignore[untyped-decorator]
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]``, for an integer index into a flat array."""

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        values = target.make_array(signature.args[0])(target, builder, arguments[0])
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        place = builder.bitcast(builder.gep(values.data, [arguments[1]]), byte)
        flags = [ir.Constant(number, flag) for flag in (_READ, _KEEP, _DATA)]
        builder.call(hint, [place, *flags])
        return target.get_dummy_value()

    return types.void(array, index), generate
