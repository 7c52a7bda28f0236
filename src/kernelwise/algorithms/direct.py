"""Direct: every tap of the kernel, multiplied and added in registers.

A block of ``rows`` x ``wide`` vectors of sums stays in registers while the taps go by; each vector of pixels that is
loaded feeds up to ``rows`` output rows. Three forms:

baked   weights are constants in the code. Columns of the kernel that are multiples of each other are summed first
        and shared by all rows, which covers symmetric, antisymmetric and small separable kernels; zero taps vanish.
table   weights come from a table [plane, chunk of rows, column, row]; loops over planes, chunks and columns, the rows
        of a chunk unrolled.
long    weights from a table [plane, row, column]; loops over everything, one output row at a time. For tall kernels
        with a stride or a dilation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from ..jit.ir import Function, Module
from ..jit.types import PTR
from ..jit.values import Value
from .numbers import load, store
from .spec import Proposal, Request, Spec, accumulate, base_spec, block, body_function, columns, conversions, fitted

NAME = "direct"
MOST_BAKED = 700  # multiply-adds written out in one body: larger bodies take long to compile
MOST_SCALED = 4  # a column that is folded, compared with its base
WORTH_BAKING = 0.8  # of the taps: multiply-adds left by folding and by zeros; with more, a table is as fast
FEW_TAPS = 4  # up to here memory is the limit, and four vectors side by side keep it busy
TALLEST_UNROLLED = 16  # kernel rows in the table form

Columns = list[tuple[np.ndarray, list[tuple[int, float]]]]


def propose(request: Request) -> Proposal:
    """Direct does every kernel."""
    weights = request.weights
    planes, tall, across = weights.shape
    count = int(np.count_nonzero(weights))
    rows, wide = block(request.target, sharing=tall > 1)
    if tall == 1 and count <= FEW_TAPS:
        wide = min(wide, FEW_TAPS)
    if not request.changing and count * (rows if tall > 1 else 1) * wide <= MOST_BAKED:
        baked = _propose_baked(request, count, rows, wide)
        if baked is not None:
            return baked
    masked = bool(count < weights.size) and request.sums.is_float
    plain = request.row_step == 1 and request.row_gap == 1
    if tall > 1 and (tall <= TALLEST_UNROLLED or plain):
        chunk = _chunk(tall)
        padding = -tall % chunk
        spec = base_spec(request, NAME, "table", rows, wide)
        spec = replace(spec, taps=(planes, tall + padding, across), chunk=chunk)
        spec = replace(spec, masked=(masked or padding > 0) and request.sums.is_float)
        loads = conversions(spec, planes * across)
        why = f"{count} taps, weights in a table"
        return Proposal(fitted(spec, request.rows.out), table(spec, weights), float(math.prod(spec.taps)), loads, why)
    _, wide = block(request.target, sharing=False)
    spec = replace(base_spec(request, NAME, "long", 1, wide), masked=masked)
    loads = conversions(spec, planes * across)
    why = f"{count} taps, weights in a table, row by row"
    return Proposal(fitted(spec, request.rows.out), table(spec, weights), 2.0 * weights.size, loads, why)


def _propose_baked(request: Request, count: int, rows: int, wide: int) -> Proposal | None:
    """Weights written into the code, where that saves work."""
    weights = request.weights
    planes, tall, _ = weights.shape
    groups = proportional_columns(weights)
    work = sum(len(members) / rows + np.count_nonzero(base) for base, members in groups)
    if tall > 1 and request.sums.is_float and work >= WORTH_BAKING * weights.size:
        return None
    spec = replace(base_spec(request, NAME, "baked", rows, wide), weights=weights.tobytes())
    loads = conversions(spec, planes * sum(len(members) for _, members in groups))
    why = f"{count} taps, written into the code"
    return Proposal(fitted(spec, request.rows.out), None, float(work), loads, why)


def table(spec: Spec, weights: np.ndarray) -> np.ndarray:
    """[planes, rows, columns] weights in the order in which the body reads them; zeros fill the last chunk of rows."""
    if spec.form == "table":
        planes, tall, across = spec.taps
        if missing := tall - weights.shape[1]:
            weights = np.pad(weights, ((0, 0), (0, missing), (0, 0)))
        weights = weights.reshape(planes, -1, spec.chunk, across).transpose(0, 1, 3, 2)
    return np.ascontiguousarray(weights)


def _chunk(tall: int) -> int:
    """Kernel rows to unroll at a time: all if they are few, else so many that the fewest rows of zeros are added."""
    if tall <= TALLEST_UNROLLED:
        return tall
    return min(range(7, TALLEST_UNROLLED + 1), key=lambda rows: (-tall % rows, -rows))


def emit(module: Module, spec: Spec, name: str, wide: int, stream: bool) -> None:
    """The body of a direct routine, with ``wide`` vectors side by side."""
    fn = body_function(module, name)
    {"baked": _baked, "table": _table, "long": _long}[spec.form](fn, spec, wide, stream)


# ---------------------------------------------------------------- baked


def _baked(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, _, _, _ = fn.args
    weights = spec.array().reshape(spec.taps)
    planes, tall, _ = spec.taps
    if tall == 1:  # no row of pixels serves two rows of the result: one after the other
        with fn.loop(0, spec.rows) as r:
            lines = {(a, 0): fn.load(PTR, rows + r * 8 + 8 * a * spec.slots) for a in range(planes)}
            _baked_block(fn, replace(spec, rows=1), wide, stream, lines, [fn.load(PTR, outs + r * 8)])
        return
    needed = [(a, s) for a, s in product(range(planes), range(spec.slots)) if _meets(weights, spec, a, s)]
    lines = {(a, s): fn.load(PTR, rows + 8 * (a * spec.slots + s)) for a, s in needed}
    results = [fn.load(PTR, outs + 8 * r) for r in range(spec.rows)]
    _baked_block(fn, spec, wide, stream, lines, results)


def _baked_block(
    fn: Function, spec: Spec, wide: int, stream: bool, lines: dict[tuple[int, int], Value], results: list[Value]
) -> None:
    """A block of rows of the result from lines of pixels, by (plane, slot)."""
    n, lanes = fn.args[2], fn.target.lanes(spec.sums.bytes)
    groups = proportional_columns(spec.array().reshape(spec.taps))
    with columns(fn, n, lanes * wide) as x:
        sums: list[list[Value | None]] = [[None] * wide for _ in range(spec.rows)]
        for (a, s), line in lines.items():
            row = line + x * spec.image.bytes
            for (base, members), c in product(groups, range(wide)):
                meeting = [(r, base[a, i]) for r, i in spec.uses[s] if base[a, i] != 0]
                if not meeting:
                    continue
                folded: Value | None = None
                for j, scale in members:
                    place = row + (c * lanes + j * spec.pitch) * spec.image.bytes
                    folded = accumulate(fn, folded, load(fn, place, lanes, spec.image, spec.sums), scale)
                assert folded is not None, "a group has members"
                for r, weight in meeting:
                    sums[r][c] = accumulate(fn, sums[r][c], folded, weight)
        _store_block(fn, spec, sums, results, x, stream)


def _meets(weights: np.ndarray, spec: Spec, a: int, s: int) -> bool:
    return any(weights[a, i].any() for _, i in spec.uses[s])


def _store_block(
    fn: Function, spec: Spec, sums: Sequence[Sequence[Value | None]], results: list[Value], x: Value, stream: bool
) -> None:
    lanes = fn.target.lanes(spec.sums.bytes)
    zero = fn.constant(spec.sums.type.of(lanes), 0)
    for r, c in product(range(len(sums)), range(len(sums[0]))):
        place = results[r] + x * spec.result.bytes + c * lanes * spec.result.bytes
        store(fn, sums[r][c] or zero, place, spec.sums, spec.result, stream)


def proportional_columns(weights: np.ndarray) -> Columns:
    """Columns of [plane, row, column] weights grouped: (base column, [(column, scale)]) with base * scale exact.

    A scale is a power of two or, for integers, any integer, so that folding changes no product. It is small where the
    base is, so that no folded sum overflows where the products do not.
    """
    groups: Columns = []
    flat = weights.reshape(-1, weights.shape[2])
    peaks = np.abs(flat.astype(np.float64)).max(axis=0)
    for j in np.argsort(peaks, kind="stable"):
        column = weights[:, :, j]
        if not column.any():
            continue
        for base, members in groups:
            scale = _scale(base, column)
            if scale is not None:
                members.append((int(j), scale))
                break
        else:
            groups.append((column, [(int(j), 1)]))
    return groups


def _scale(base: np.ndarray, column: np.ndarray) -> float | None:
    place = np.unravel_index(np.argmax(np.abs(base.astype(np.float64))), base.shape)
    scale = column[place].item() / base[place].item()
    whole = bool(np.all(base == np.rint(base))) and np.abs(base).max() < 2**20 and abs(scale) < 2**20
    exact = scale == int(scale) and whole if whole else abs(np.frexp(scale)[0]) == 0.5 and abs(scale) <= MOST_SCALED
    if base.dtype.kind == "i":
        exact = scale == int(scale)
    return scale if exact and np.array_equal(base * base.dtype.type(scale), column) else None


# ---------------------------------------------------------------- table


def _table(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, n, table, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    planes, tall, across = spec.taps
    column_bytes = spec.chunk * spec.sums.bytes
    zero = fn.constant(spec.sums.type.of(lanes), 0)
    results = [fn.load(PTR, outs + 8 * r) for r in range(spec.rows)]
    with columns(fn, n, lanes * wide) as x:
        with fn.counted(0, planes, carry=[zero] * (spec.rows * wide)) as plane:
            pointers = rows + plane.index * (8 * spec.slots)
            weights = table + plane.index * (tall // spec.chunk * across * column_bytes)
            with fn.counted(0, tall // spec.chunk, carry=plane.carried) as chunk:
                lines = pointers + chunk.index * (8 * spec.chunk)
                here = weights + chunk.index * (across * column_bytes)
                with fn.counted(0, across, carry=chunk.carried) as column:
                    sums = list(column.carried)
                    shift = (x + column.index * spec.pitch) * spec.image.bytes
                    _column_of_taps(fn, spec, wide, sums, lines, shift, here + column.index * column_bytes)
                    column.carry_on(sums)
                chunk.carry_on(column.results)
            plane.carry_on(chunk.results)
        block_sums = [plane.results[r * wide : (r + 1) * wide] for r in range(spec.rows)]
        _store_block(fn, spec, block_sums, results, x, stream)


def _column_of_taps(
    fn: Function, spec: Spec, wide: int, sums: list[Value], pointers: Value, shift: Value, weights: Value
) -> None:
    """One column of a chunk of the kernel over its slots; the weights in use slide along with the slots."""
    lanes = fn.target.lanes(spec.sums.bytes)
    scalars: dict[int, Value] = {}
    one_chunk = replace(spec, taps=(1, spec.chunk, spec.taps[2]))
    for s, meeting in enumerate(one_chunk.uses):
        fn.fence()
        row = fn.load(PTR, pointers + 8 * s) + shift
        for _, i in meeting:
            if i not in scalars:
                scalars[i] = fn.splat(fn.load(spec.sums.type, weights + i * spec.sums.bytes), lanes)
        for c in range(wide):
            pixels = load(fn, row + c * lanes * spec.image.bytes, lanes, spec.image, spec.sums)
            for r, i in meeting:
                place = r * wide + c
                sums[place] = _weighted(fn, spec, pixels, scalars[i], sums[place])


def _weighted(fn: Function, spec: Spec, pixels: Value, weight: Value, total: Value) -> Value:
    added = fn.fma(pixels, weight, total) if spec.sums.is_float else total + pixels * weight
    return fn.select(weight.differs(0), added, total) if spec.masked else added


# ---------------------------------------------------------------- long


def _long(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, n, table, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    planes, tall, across = spec.taps
    zero = fn.constant(spec.sums.type.of(lanes), 0)
    result = fn.load(PTR, outs)
    with columns(fn, n, lanes * wide) as x:
        with fn.counted(0, planes * tall, carry=[zero] * wide) as line:
            row = fn.load(PTR, rows + line.index * 8) + x * spec.image.bytes
            weights = table + line.index * (across * spec.sums.bytes)
            with fn.counted(0, across, carry=line.carried) as column:
                weight = fn.splat(fn.load(spec.sums.type, weights + column.index * spec.sums.bytes), lanes)
                sums = []
                for c, total in enumerate(column.carried):
                    place = row + column.index * (spec.pitch * spec.image.bytes) + c * lanes * spec.image.bytes
                    sums.append(_weighted(fn, spec, load(fn, place, lanes, spec.image, spec.sums), weight, total))
                column.carry_on(sums)
            line.carry_on(column.results)
        _store_block(fn, spec, [line.results], [result], x, stream)
