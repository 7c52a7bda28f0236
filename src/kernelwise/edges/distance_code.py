"""Exact squared distances to the nearest pixel of a map, in two passes: columns, then rows; generated.

The first pass gives every pixel its distance to the nearest one in its own column. In the second, the squared distance
along a row is the lower envelope of parabolas, one for each column, found from left to right and read off from right
to left. All in whole numbers. Source: Meijster, Roerdink and Hesselink 2000, A general algorithm for computing
distance transforms in linear time (Mathematical Morphology and its Applications to Image and Signal Processing, 331).
"""

from __future__ import annotations

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import I8, I32, I64, PTR
from ..jit.values import Record, Value

FIELDS = (
    *("rows", "columns"),
    "map",  # bytes, rows * columns, 0 for nothing
    "group",  # columns of a unit of the first pass
    "down",  # int32, rows * columns: distance along the column; rows + columns where the column has nothing
    "first_row",  # of the second pass
    "squared",  # int64, of the rows from the first one on
)


def emit(target: Target) -> Module:
    """``void down(args, scratch, unit)``, a unit for each group of columns; ``void across(...)``, one for each row."""
    module = Module(target)
    _emit_down(module)
    _emit_across(module)
    return module


def _emit_down(module: Module) -> None:
    fn = module.function("down", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, _, unit = fn.args
    field = Record(fn, args, FIELDS)
    rows, columns, group = (field.integer(name) for name in ("rows", "columns", "group"))
    given, down, far = field.address("map"), field.address("down"), rows + columns
    start = unit * group
    stop = (start + group).minimum(columns)
    with fn.loop(0, rows) as y:  # from the nearest above
        line = y * columns
        with fn.loop(start, stop) as x:
            above = _get(fn, down, fn.select(y > 0, line - columns, line) + x)
            near = fn.select(y > 0, (above + 1).minimum(far), far)
            empty = fn.load(I8, given + (line + x)).equals(0)
            _put(fn, down, line + x, fn.select(empty, near, 0))
    with fn.loop(1, rows) as turn:  # from the nearest below
        line = (rows - turn - 1) * columns
        with fn.loop(start, stop) as x:
            below = _get(fn, down, line + columns + x)
            _put(fn, down, line + x, _get(fn, down, line + x).minimum(below + 1))


def _emit_across(module: Module) -> None:
    """``scratch``: for each parabola of the envelope its column and where it begins, int64 both."""
    fn = module.function("across", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    columns = field.integer("columns")
    down = field.address("down") + (field.integer("first_row") + unit) * columns * 4
    squared = field.address("squared") + unit * columns * 8
    last, begins = fn.stack(8, 8), scratch + columns * 8
    fn.store(fn.index(0), last)
    fn.store(fn.index(0), scratch)
    fn.store(fn.index(0), begins)
    with fn.loop(1, columns) as u:
        high = _square(_get(fn, down, u))
        with fn.forever() as stop_if:  # drop those that this one is below from where they begin
            q = fn.load(I64, last)
            stop_if(q < 0)
            at, column = fn.load(I64, begins + q * 8), fn.load(I64, scratch + q * 8)
            stop_if(_parabola(fn, down, at, column) <= _square(at - u) + high)
            fn.store(q - 1, last)
        q = fn.load(I64, last)
        with fn.when(q < 0):
            fn.store(fn.index(0), last)
            fn.store(u, scratch)
            fn.store(fn.index(0), begins)
        with fn.when(q >= 0):
            column = fn.load(I64, scratch + q * 8)
            other = _square(_get(fn, down, column))
            meet = (u * u - column * column + high - other) // ((u - column) * 2) + 1
            with fn.when(meet < columns):
                fn.store(q + 1, last)
                fn.store(u, scratch + (q + 1) * 8)
                fn.store(meet, begins + (q + 1) * 8)
    with fn.loop(0, columns) as turn:
        u = columns - turn - 1
        q = fn.load(I64, last)
        fn.store(_parabola(fn, down, u, fn.load(I64, scratch + q * 8)), squared + u * 8)
        with fn.when(fn.load(I64, begins + q * 8).equals(u)):
            fn.store((q - 1).maximum(0), last)


def _parabola(fn: Function, down: Value, x: Value, column: Value) -> Value:
    """The squared distance at x, by way of a column."""
    return _square(x - column) + _square(_get(fn, down, column))


def _square(value: Value) -> Value:
    return value * value


def _get(fn: Function, array: Value, index: Value) -> Value:
    """An element of an int32 array."""
    return fn.load(I32, array + index * 4).to(I64, "sext")


def _put(fn: Function, array: Value, index: Value, value: Value) -> None:
    fn.store(value.to(I32, "trunc"), array + index * 4)
