"""Sixteen float32 numbers at a time in numba loops: loads, stores, arithmetic, exp, tanh, sigmoid.

numba's loops over a few channels do not vectorise dependably. A function marked `@in_lanes` is written in
terms of `Memory` (an array argument), `Index` (an integer argument) and `Lanes` (16 numbers); it runs once,
while numba compiles its caller, and leaves vector instructions there. LLVM turns them into whatever vectors
the processor has. Each lane's arithmetic is spelt out, so its result does not depend on the machine.

Arrays are float32, or uint16 holding bfloat16. An index counts elements from the array's beginning. Channel
counts are multiples of 16; the callers pad.

numba's cache on disk watches only the file of the function it compiled; `__init__.py` of this folder sees to it that a
change to this module counts too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

WIDTH = 16
F = TypeVar("F", bound=Callable[..., Any])
_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_FLOATS, _INTS, _SHORTS = (ir.VectorType(kind, WIDTH) for kind in (_FLOAT, _INT, ir.IntType(16)))


def compiled(function: F) -> F:
    """Compile a function of arrays and numbers when it is first called; it runs without the interpreter's lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def padded(channels: int) -> int:
    """Channels rounded up to whole lanes."""
    return -(-channels // WIDTH) * WIDTH


class Lanes:
    """Sixteen float32 numbers; the operators work lane by lane. Plain numbers mix in."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _apply(self, operation: str, other: Lanes | float, swapped: bool = False) -> Lanes:
        pair = [self.value, _operand(other)]
        return Lanes(self.builder, getattr(self.builder, operation)(*(reversed(pair) if swapped else pair)))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._apply("fadd", other)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._apply("fsub", other)

    def __rsub__(self, other: float) -> Lanes:
        return self._apply("fsub", other, swapped=True)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._apply("fmul", other)

    def __truediv__(self, other: Lanes) -> Lanes:
        return self._apply("fdiv", other)

    def __rtruediv__(self, other: float) -> Lanes:
        return self._apply("fdiv", other, swapped=True)

    __radd__, __rmul__ = __add__, __mul__

    def where(self, comparison: str, other: Lanes | float, yes: Lanes | float, no: Lanes | float) -> Lanes:
        """`yes` in the lanes where `self comparison other`, else `no` (as for NaN)."""
        chosen = self.builder.fcmp_ordered(comparison, self.value, _operand(other))
        return Lanes(self.builder, self.builder.select(chosen, _operand(yes), _operand(no)))

    def total(self) -> Any:
        """The sum of the lanes, halves added to halves: a float32 for the caller."""
        return self._folded(lambda left, right: self.builder.fadd(left, right))

    def greatest(self) -> Any:
        """The greatest lane: a float32 for the caller."""
        build = self.builder
        return self._folded(lambda left, right: build.select(build.fcmp_ordered(">", left, right), left, right))

    def _folded(self, combine: Callable[[Any, Any], Any]) -> Any:
        value, width = self.value, WIDTH
        while width > 1:
            width //= 2
            none = ir.Constant(value.type, ir.Undefined)
            halves = [
                self.builder.shuffle_vector(value, none, ir.Constant(ir.VectorType(_INT, width), indices))
                for indices in (list(range(width)), list(range(width, 2 * width)))
            ]
            value = combine(*halves)
        return self.builder.extract_element(value, ir.Constant(_INT, 0))


class Index:
    """A position in elements."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Index | int) -> Index:
        return Index(self.builder, self.builder.add(self.value, self._constant(other)))

    def __mul__(self, other: Index | int) -> Index:
        return Index(self.builder, self.builder.mul(self.value, self._constant(other)))

    def _constant(self, other: Index | int) -> Any:
        return other.value if isinstance(other, Index) else ir.Constant(self.value.type, other)


class Memory:
    """An array argument."""

    def __init__(self, builder: Any, pointer: Any, halved: bool) -> None:
        self.builder, self.pointer, self.halved = builder, pointer, halved

    def load(self, at: Index) -> Lanes:
        """The sixteen numbers from `at` on."""
        kind = _SHORTS if self.halved else _FLOATS
        value = self.builder.load(self._address(at, kind))
        value.align = 2 if self.halved else 4
        if self.halved:
            sixteen = ir.Constant(_INTS, [16] * WIDTH)
            value = self.builder.bitcast(self.builder.shl(self.builder.zext(value, _INTS), sixteen), _FLOATS)
        return Lanes(self.builder, value)

    def splat(self, at: Index) -> Lanes:
        """The one number at `at`, in every lane."""
        value = self.builder.load(self.builder.gep(self.pointer, [at.value]))
        if self.halved:
            value = self.builder.shl(self.builder.zext(value, _INT), ir.Constant(_INT, 16))
            value = self.builder.bitcast(value, _FLOAT)
        return Lanes(self.builder, _spread(self.builder, value))

    def store(self, at: Index, lanes: Lanes) -> None:
        """Put sixteen numbers at `at`, rounded to nearest even if the array holds bfloat16."""
        value, build = lanes.value, self.builder
        if self.halved:
            bits = build.bitcast(value, _INTS)
            one, high, bias = (ir.Constant(_INTS, [number] * WIDTH) for number in (1, 16, 0x7FFF))
            odd = build.and_(build.lshr(bits, high), one)
            value = build.trunc(build.lshr(build.add(bits, build.add(odd, bias)), high), _SHORTS)
        stored = build.store(value, self._address(at, value.type))
        stored.align = 2 if self.halved else 4

    def _address(self, at: Index, kind: Any) -> Any:
        return self.builder.bitcast(self.builder.gep(self.pointer, [at.value]), kind.as_pointer())


class Register:
    """Sixteen numbers that change while a loop runs."""

    def __init__(self, start: Lanes) -> None:
        self.builder = start.builder
        self.slot = cgutils.alloca_once(self.builder, _FLOATS)
        self.set(start)

    def get(self) -> Lanes:
        return Lanes(self.builder, self.builder.load(self.slot))

    def set(self, lanes: Lanes) -> None:
        self.builder.store(lanes.value, self.slot)


@contextmanager
def counting(count: Index) -> Iterator[Index]:
    """A loop over 0 … count - 1 in the compiled code."""
    with cgutils.for_range(count.builder, count.value) as loop:
        yield Index(count.builder, loop.index)


@contextmanager
def case(value: Index, number: int) -> Iterator[None]:
    """Code that runs only where `value` is `number`."""
    build = value.builder
    with build.if_then(build.icmp_signed("==", value.value, ir.Constant(value.value.type, number))):
        yield


def fma(a: Lanes, b: Lanes | float, c: Lanes | float) -> Lanes:
    """a · b + c, rounded once."""
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    function = cgutils.get_or_insert_function(a.builder.module, kind, f"llvm.fma.v{WIDTH}f32")
    return Lanes(a.builder, a.builder.call(function, [a.value, _operand(b), _operand(c)]))


def _exponential(x: Lanes) -> tuple[Lanes, Lanes]:
    """2^n and q with exp(x) = 2^n (1 + q): Cody and Waite's reduction and a Taylor polynomial; x clamped to ±87."""
    x = x.where("<", -87.0, -87.0, x)
    x = x.where(">", 87.0, 87.0, x)
    rounder = 1.5 * 2**23  # adding it leaves the nearest integer in a float32's low bits
    shifted = fma(x, 1.44269504, rounder)
    n = shifted - rounder
    r = fma(n, 2.12194440e-4, fma(n, -0.693359375, x))
    p = fma(r, 1 / 5040, 1 / 720)
    for coefficient in (1 / 120, 1 / 24, 1 / 6, 1 / 2):
        p = fma(r, p, coefficient)
    build = x.builder
    bits = build.add(build.bitcast(shifted.value, _INTS), ir.Constant(_INTS, [127] * WIDTH))
    power = build.bitcast(build.shl(bits, ir.Constant(_INTS, [23] * WIDTH)), _FLOATS)
    return Lanes(build, power), fma(r * r, p, r)


def exp(x: Lanes) -> Lanes:
    """exp(x), to 1e-7 of its value; NaN stays NaN."""
    power, q = _exponential(x)
    return fma(power, q, power)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x)), to 1e-7."""
    power, q = _exponential(x * -1.0)
    return 1.0 / (1.0 + fma(power, q, power))


def tanh(x: Lanes) -> Lanes:
    """tanh(x), to 2e-7 of its value: by exp(2x) - 1, which keeps its digits near zero."""
    power, q = _exponential(x * 2.0)
    minus_one = fma(power, q, power - 1.0)
    return minus_one / (minus_one + 2.0)


def in_lanes(body: Callable[..., Any]) -> Any:
    """Make `body` callable in numba functions: its arrays arrive as `Memory`, its integers as `Index`,
    its floats as `Lanes`. It returns nothing, or a float32 from `Lanes.total` or `greatest`."""
    written = inspect.signature(body, eval_str=True)
    returns_float = written.return_annotation is not None

    def typed(typing_context: Any, *arguments: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            wrapped: list[Any] = []
            for kind, value in zip(signature.args, values, strict=True):
                if isinstance(kind, types.Array):
                    pointer = context.make_array(kind)(context, builder, value).data
                    wrapped.append(Memory(builder, pointer, kind.dtype == types.uint16))
                elif isinstance(kind, types.Float):
                    wrapped.append(Lanes(builder, _spread(builder, value)))
                else:
                    wrapped.append(Index(builder, value))
            result = body(*wrapped)
            return result if returns_float else context.get_dummy_value()

        kinds = [types.intp if isinstance(kind, types.Integer) else kind for kind in arguments]
        kinds = [types.float32 if isinstance(kind, types.Float) else kind for kind in kinds]
        return (types.float32 if returns_float else types.void)(*kinds), generate

    parameters = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in written.parameters.values()]
    context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    typed.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    typed.__name__ = body.__name__
    typed.__doc__ = body.__doc__
    return intrinsic(typed)


@in_lanes
def copy(source: Memory, source_at: Index, target: Memory, at: Index) -> None:
    """target[at …] = source[source_at …], sixteen numbers."""
    target.store(at, source.load(source_at))


@in_lanes
def add(source: Memory, source_at: Index, target: Memory, at: Index) -> None:
    """target[at …] += source[source_at …], sixteen numbers."""
    target.store(at, target.load(at) + source.load(source_at))


def _operand(value: Lanes | float) -> Any:
    return value.value if isinstance(value, Lanes) else ir.Constant(_FLOATS, [value] * WIDTH)


def _spread(builder: Any, value: Any) -> Any:
    none = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(none, value, ir.Constant(_INT, 0))
    return builder.shuffle_vector(first, none, ir.Constant(_INTS, [0] * WIDTH))
