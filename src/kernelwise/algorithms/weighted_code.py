"""The code of weighted products of windows (see weighted_windows.py). A unit is a run of tiles, with sums of its own.

A tile of outputs is worked on in the first-level cache. What its windows see is copied there, less a constant, in
float64: rows of the images, of the results, of ones, and of the weights. Then a *feature*, one tap of a window, one
result or the one, is a place from which rows of the tile are read. Features are taken in blocks; all pairs of two
blocks stay in registers, a vector of sums each, while the outputs of the tile go by:

    for row, for x in vectors:
        left = weights[x] * features of the one block
        sum[i, j] += left[i] * (feature j of the other block)

Then lanes are added up, and go to the unit's own sums.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID
from ..jit.values import Record, Value
from .filling import copy_row
from .memory import ALIGN, odd
from .numbers import Number
from .vectors import fold

WIDE = Number("f8")
SIDES = ("x", "y", "w")
FIELDS = (
    # the arrays: bytes from one element to the next along each axis
    *("x", "x_image", "x_channel", "x_plane", "x_row", "x_column"),
    *("y", "y_image", "y_channel", "y_plane", "y_row", "y_column"),
    *("w", "w_image", "w_channel", "w_plane", "w_row", "w_column"),
    # float64: what is taken from every number of each channel
    *("x_centre", "y_centre", "w_centre"),
    # outputs; channels of the images and of the results; the reach of a window: planes, rows and columns more than one
    *("planes", "rows", "columns", "x_channels", "y_channels", "more_planes", "more_rows", "more_columns"),
    # tiles of an image; those that are done now; units
    *("row_tiles", "column_tiles", "first_tile", "tiles", "units"),
    # places of the features in a tile, in whole blocks of either kind; how many such blocks there are
    *("features", "left_blocks", "right_blocks"),
    # float64 [unit][feature][feature], bytes of the first two
    *("gram", "gram_unit", "gram_row"),
    # places in scratch memory
    *("at_x", "at_y", "at_w", "at_one"),
)


@dataclass(frozen=True)
class WeightedSpec:
    """Everything that changes the generated code."""

    x: Number  # as stored
    y: Number
    w: Number
    rows: int  # of a tile: outputs
    vectors: int  # in a row of it
    lanes: int
    reach: int  # columns that a window has more than one
    left: int  # features of a block, those that are multiplied with the weights
    right: int

    @property
    def columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def pitch(self) -> int:
        """Bytes from one row of a tile to the next: an odd number of cache lines."""
        return odd((self.columns + self.reach) * F64.bytes)

    def stored(self, side: str) -> Number:
        return {"x": self.x, "y": self.y, "w": self.w}[side]


def emit(spec: WeightedSpec, target: Target) -> Module:
    """A module with ``void weighted(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    for side in SIDES:
        _emit_fill(module, side, spec)
    _emit_block(module, spec)
    _emit_tile(module, spec)
    fn = module.function("weighted", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    one = scratch + field.integer("at_one")
    with fn.loop(0, spec.rows * spec.pitch, spec.lanes * F64.bytes) as k:
        fn.store(fn.constant(F64.of(spec.lanes), 1.0), one + k)
    tiles, units, first = (field.integer(name) for name in ("tiles", "units", "first_tile"))
    with fn.loop(first + unit * tiles // units, first + (unit + 1) * tiles // units) as tile:
        fn.call("tile", VOID, [args, scratch, unit, tile])
    return module


def _emit_tile(module: Module, spec: WeightedSpec) -> None:
    """One tile: copied, then all pairs of blocks, the second one not before the first."""
    arguments = [("args", PTR), ("scratch", PTR), ("unit", I64), ("tile", I64)]
    fn = module.function("tile", arguments, internal=True)
    args, scratch, unit, tile = fn.args
    field = Record(fn, args, FIELDS)
    across, down = field.integer("column_tiles"), field.integer("row_tiles")
    left, rest = tile % across * spec.columns, tile // across
    top, rest = rest % down * spec.rows, rest // down
    plane, image = rest % field.integer("planes"), rest // field.integer("planes")
    rows = (field.integer("rows") - top).minimum(spec.rows)
    columns = (field.integer("columns") - left).minimum(spec.columns)
    for side in SIDES:
        more = [field.integer(f"more_{axis}") if side == "x" else fn.index(0) for axis in ("planes", "rows", "columns")]
        size = [rows + more[1], columns + more[2]]
        fn.call(f"fill_{side}", VOID, [args, scratch, image, plane, more[0] + 1, top, left, *size])
    gram = field.address("gram") + unit * field.integer("gram_unit")
    features, width = field.address("features"), (columns + (spec.lanes - 1)) // spec.lanes * (spec.lanes * F64.bytes)
    with fn.loop(0, field.integer("left_blocks")) as i:
        row = gram + i * spec.left * field.integer("gram_row")
        with fn.loop(i * spec.left // spec.right, field.integer("right_blocks")) as j:
            places = [
                features + i * (spec.left * 8),
                features + j * (spec.right * 8),
                row + j * (spec.right * F64.bytes),
            ]
            fn.call("block", VOID, [args, scratch, *places, rows, width])


def _emit_fill(module: Module, side: str, spec: WeightedSpec) -> None:
    """Rows of all channels and of some planes, from ``top`` and ``left`` on; zeros behind them."""
    names = ("image", "plane", "planes", "top", "left", "rows", "columns")
    arguments = [("args", PTR), ("scratch", PTR), *((name, I64) for name in names)]
    fn = module.function(f"fill_{side}", arguments, internal=True)
    args, scratch, image, plane, planes, top, left, rows, columns = fn.args
    field = Record(fn, args, FIELDS)
    step = {axis: field.integer(f"{side}_{axis}") for axis in ("image", "channel", "plane", "row", "column")}
    channels = fn.index(1) if side == "w" else field.integer(f"{side}_channels")
    room = (field.integer("more_rows") + spec.rows if side == "x" else fn.index(spec.rows)) * spec.pitch
    start = field.address(side) + image * step["image"] + plane * step["plane"]
    start = start + (top * step["row"] + left * step["column"])
    vector = F64.of(spec.lanes)
    with fn.loop(0, channels) as c, fn.loop(0, planes) as p:
        centre = fn.load(F64, field.address(f"{side}_centre") + c * F64.bytes)
        place = scratch + (field.integer(f"at_{side}") + (c * planes + p) * room)
        with fn.loop(0, rows) as r:
            line = place + r * spec.pitch
            with fn.loop(columns * F64.bytes // ALIGN * ALIGN, spec.pitch, vector.bytes) as k:
                fn.store(fn.constant(vector, 0.0), line + k)
            source = start + c * step["channel"] + p * step["plane"] + r * step["row"]
            copy_row(fn, spec.stored(side), WIDE, spec.lanes, source, step["column"], line, columns, centre)


def _emit_block(module: Module, spec: WeightedSpec) -> None:
    """The products of two blocks of features over a tile, added to what is at ``gram`` already."""
    pointers = [(name, PTR) for name in ("args", "scratch", "lefts", "rights", "gram")]
    fn = module.function("block", [*pointers, ("rows", I64), ("width", I64)], internal=True)
    args, scratch, lefts, rights, gram, rows, width = fn.args
    field, vector = Record(fn, args, FIELDS), F64.of(spec.lanes)
    w = scratch + field.integer("at_w")
    left = [scratch + fn.load(I64, lefts + 8 * k) for k in range(spec.left)]
    right = [scratch + fn.load(I64, rights + 8 * k) for k in range(spec.right)]
    zeros = [fn.constant(vector, 0)] * (spec.left * spec.right)
    with fn.counted(0, rows * spec.pitch, spec.pitch, carry=zeros) as r:
        with fn.counted(r.index, r.index + width, vector.bytes, carry=r.carried) as x:
            x.carry_on(_multiply(fn, spec, w, left, right, x.index, x.carried))
        r.carry_on(x.results)
    for k, total in enumerate(r.results):
        place = gram + k // spec.right * field.integer("gram_row") + k % spec.right * F64.bytes
        fn.store(fn.load(F64, place) + fold(fn, total, operator.add), place)


def _multiply(
    fn: Function, spec: WeightedSpec, w: Value, left: list[Value], right: list[Value], at: Value, sums: list[Value]
) -> list[Value]:
    """A vector of outputs."""
    vector, sums = F64.of(spec.lanes), list(sums)
    fn.fence()
    weight = fn.load(vector, w + at)
    heavy = [weight * fn.load(vector, feature + at) for feature in left]
    for j, feature in enumerate(right):
        seen = fn.load(vector, feature + at)
        for i, one in enumerate(heavy):
            sums[i * spec.right + j] = fn.fma(one, seen, sums[i * spec.right + j])
    return sums
