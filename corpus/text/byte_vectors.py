"""What kernels do to 8 or 64 bytes of an array at once, as instructions that Numba has no name for.

Nothing is checked: the bytes have to be there. LLVM turns vectors of 64 bytes into whatever the
processor has, two of 32 or four of 16 bytes for instance.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_EIGHT = ir.IntType(64)
_BLOCK = ir.VectorType(ir.IntType(8), 64)


def _place(context: Any, builder: Any, kind: Any, array: Any, at: Any, size: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), size.as_pointer())


def _each(byte: int) -> Any:
    return ir.Constant(_BLOCK, [byte] * 64)


def _between(builder: Any, block: Any, first: int, last: int) -> Any:
    return builder.icmp_unsigned("<=", builder.sub(block, _each(first)), _each(last - first))


@intrinsic  # type: ignore[untyped-decorator]
def load8(typing: Any, data: Any, at: Any) -> Any:
    """Return data[at : at + 8] as a number, the first byte lowest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, at = arguments
        place = _place(context, builder, signature.args[0], data, at, _EIGHT)
        return builder.load(place, align=1)

    return types.uint64(data, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def store8(typing: Any, data: Any, at: Any, value: Any) -> Any:
    """Write the eight bytes of a number to data[at : at + 8]."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, at, value = arguments
        place = _place(context, builder, signature.args[0], data, at, _EIGHT)
        builder.store(value, place, align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def lower64(typing: Any, data: Any, at: Any, target: Any, to: Any) -> Any:
    """Write data[at : at + 64] to target[to : to + 64], ASCII capitals in lower case.

    Returns:
        For each of the bytes a bit that says whether it is not ASCII, the first lowest.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, at, target, to = arguments
        block = builder.load(_place(context, builder, signature.args[0], data, at, _BLOCK), align=1)
        capital = _between(builder, block, 0x41, 0x5A)
        lowered = builder.add(block, builder.select(capital, _each(0x20), _each(0)))
        place = _place(context, builder, signature.args[2], target, to, _BLOCK)
        builder.store(lowered, place, align=1)
        return builder.bitcast(builder.icmp_signed("<", block, _each(0)), _EIGHT)

    return types.uint64(data, types.int64, target, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def white64(typing: Any, data: Any, at: Any) -> Any:
    """Return for each of data[at : at + 64] a bit that says whether it is ASCII white space."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data, at = arguments
        block = builder.load(_place(context, builder, signature.args[0], data, at, _BLOCK), align=1)
        lines = _between(builder, block, 0x09, 0x0D)
        return builder.bitcast(builder.or_(lines, _between(builder, block, 0x1C, 0x20)), _EIGHT)

    return types.uint64(data, types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typing: Any, number: Any) -> Any:
    """Return how many of the lowest bits are zero; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], context.get_constant(types.boolean, False))

    return types.int64(types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator]
def bits_set(typing: Any, number: Any) -> Any:
    """Return how many bits are one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate
