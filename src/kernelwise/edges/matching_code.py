"""The routine that matches edge pixels: a largest matching of a bipartite graph, group after group, generated.

Found pixels come in groups. Within a group, phase after phase, each found pixel without a partner looks for a true one
within reach: a free one if there is any, else it goes on, depth first, to the found pixels that hold the true ones
within reach, until one of them can take a free one and all along the way move up (an augmenting path). No true pixel
is passed through twice in a phase. A phase without success proves that the matching is as large as it can be (Berge
1957); what it has passed through can never again lead to a free one and is set aside for good. A pixel once matched
stays matched. Source: Pothen and Fan 1990, Computing the block triangular form of a sparse matrix (ACM TOMS 16:303).

The graph is never written down. True pixels are numbered row by row; ``before[p]`` says how many there are before the
pixel p, so those of a row between two columns are a range of numbers. In a range the first that is free, not set
aside, or not passed through is found by pointers to the next one, shortened as they are followed (union-find).
"""

from __future__ import annotations

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import I32, I64, PTR, VOID
from ..jit.values import Record, Value

FIELDS = (
    *("rows", "columns"),  # of the maps
    "before",  # int32, rows * columns + 1
    # rows within reach, in the order in which they are looked at: how many, their offsets, how far each reaches; int64
    *("strip_count", "strips", "widths"),
    # the found pixels in order, int32: where they are, where their group ends; how many there are
    *("found_y", "found_x", "group_stop", "count"),
    # the matching: of each found pixel the true one, of each true one the found one; -1 for none; int32
    *("true_of", "found_of"),
    # int32, one more than there are true pixels: from each one on, the next that is free, that is not set aside,
    # that is not passed through (to be believed where ``seen`` holds the number of this phase)
    *("free", "alive", "open", "seen"),
    "passed",  # int32, the true pixels passed through in this phase
    # the way from a found pixel, int32: found pixels, the true ones they were come to by, and 1 + the strip from which
    # each goes on, 0 if it has not been looked at
    *("way_found", "way_true", "way_strip"),
    # where the work stands: the group, the next of its pixels, the phase and what it has done; 1 at the end
    *("group", "next", "phase", "successes", "passed_count", "done"),
    "budget",  # pixels to be looked at in one go
)


def emit(target: Target) -> Module:
    """A module with ``void match(ptr args, ptr scratch, i64 unit)``: a piece of the work; args are FIELDS."""
    module = Module(target)
    _emit_next(module)
    _emit_next_open(module)
    _emit_range(module)
    _emit_grab(module)
    _emit_onward(module)
    _emit_exchange(module)
    _emit_search(module)
    _emit_end_of_phase(module)
    _emit_match(module)
    return module


def _emit_match(module: Module) -> None:
    """Go on from where the work stands, until the budget is spent or all is done."""
    fn = module.function("match", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args = fn.args[0]
    field = Record(fn, args, FIELDS)
    left = fn.stack(8, 8)
    fn.store(field.integer("budget"), left)
    with fn.forever() as stop_if:
        stop_if((fn.load(I64, left) <= 0) | field.integer("done").differs(0))
        k = field.integer("next")
        stop = _get(fn, field.address("group_stop"), field.integer("group"))
        with fn.when(k >= stop):
            fn.call("end_of_phase", VOID, [args, stop])
        with fn.when(k < stop):
            fn.store(k + 1, field.at("next"))
            fn.store(fn.load(I64, left) - 1, left)
            with fn.when(_get(fn, field.address("true_of"), k) < 0):
                used = fn.call("search", I64, [args, k])
                fn.store(fn.load(I64, left) - used, left)


def _emit_end_of_phase(module: Module) -> None:
    """Another phase for this group if the last one had success, else the next group."""
    fn = module.function("end_of_phase", [("args", PTR), ("stop", I64)], internal=True)
    args, stop = fn.args
    field = Record(fn, args, FIELDS)
    fruitless = field.integer("successes").equals(0)
    with fn.when(fruitless):
        alive, passed = field.address("alive"), field.address("passed")
        with fn.loop(0, field.integer("passed_count")) as i:
            true = _get(fn, passed, i)
            _put(fn, alive, true, true + 1)
        fn.store(stop, field.at("group"))
        with fn.when(stop >= field.integer("count")):
            fn.store(fn.index(1), field.at("done"))
    fn.store(field.integer("group"), field.at("next"))
    fn.store(field.integer("phase") + 1, field.at("phase"))
    fn.store(fn.index(0), field.at("successes"))
    fn.store(fn.index(0), field.at("passed_count"))


def _emit_search(module: Module) -> None:
    """Depth first from the k-th found pixel. Returns how many found pixels were looked at."""
    fn = module.function("search", [("args", PTR), ("k", I64)], I64, internal=True)
    args, k = fn.args
    field = Record(fn, args, FIELDS)
    way_found, way_true, way_strip = (field.address(f"way_{name}") for name in ("found", "true", "strip"))
    depth, looked = fn.stack(8, 8), fn.stack(8, 8)
    fn.store(fn.index(0), depth)
    fn.store(fn.index(0), looked)
    _put(fn, way_found, fn.index(0), k)
    _put(fn, way_strip, fn.index(0), fn.index(0))
    with fn.forever() as stop_if:
        d = fn.load(I64, depth)
        stop_if(d < 0)
        found = _get(fn, way_found, d)
        with fn.when(_get(fn, way_strip, d).equals(0)):
            fn.store(fn.load(I64, looked) + 1, looked)
            free = fn.call("grab", I64, [args, found])
            with fn.when(free >= 0):
                fn.call("exchange", VOID, [args, free, d])
                fn.store(field.integer("successes") + 1, field.at("successes"))
                fn.ret(fn.load(I64, looked))
        true = fn.call("onward", I64, [args, found, d])
        fn.store(d - 1, depth)
        with fn.when(true >= 0):
            fn.store(d + 1, depth)
            _put(fn, way_found, d + 1, _get(fn, field.address("found_of"), true))
            _put(fn, way_true, d + 1, true)
            _put(fn, way_strip, d + 1, fn.index(0))
    fn.ret(fn.load(I64, looked))


def _emit_exchange(module: Module) -> None:
    """The last found pixel of the way takes a free true one, each one before it that of the one after it."""
    fn = module.function("exchange", [("args", PTR), ("free", I64), ("depth", I64)], internal=True)
    args, free, depth = fn.args
    field = Record(fn, args, FIELDS)
    true_of, found_of = field.address("true_of"), field.address("found_of")
    with fn.counted(0, depth + 1, carry=[free]) as loop:
        d = depth - loop.index
        found = _get(fn, field.address("way_found"), d)
        _put(fn, found_of, loop.carried[0], found)
        _put(fn, true_of, found, loop.carried[0])
        loop.carry_on([_get(fn, field.address("way_true"), d)])


def _emit_grab(module: Module) -> None:
    """A free true pixel within reach of a found one, or -1; it is free no more."""
    fn = module.function("grab", [("args", PTR), ("found", I64)], I64, internal=True)
    args, found = fn.args
    field = Record(fn, args, FIELDS)
    free, span = field.address("free"), fn.stack(24, 8)
    with fn.loop(0, field.integer("strip_count")) as s:
        fn.call("range", VOID, [args, found, s, span])
        first, middle, stop = (fn.load(I64, span + 8 * i) for i in range(3))
        for begin, end in ((middle, stop), (first, middle)):
            with fn.when(begin < end):
                true = fn.call("next", I64, [free, begin])
                with fn.when(true < end):
                    _put(fn, free, true, true + 1)
                    fn.ret(true)
    fn.ret(fn.index(-1))


def _emit_onward(module: Module) -> None:
    """A true pixel within reach that has not been passed through in this phase, or -1; it has been now."""
    fn = module.function("onward", [("args", PTR), ("found", I64), ("depth", I64)], I64, internal=True)
    args, found, depth = fn.args
    field = Record(fn, args, FIELDS)
    place, span = field.address("way_strip") + depth * 4, fn.stack(24, 8)
    count, phase = field.integer("strip_count"), field.integer("phase")
    backwards = (phase & 1).equals(1)
    with fn.loop((fn.load(I32, place).to(I64, "sext") - 1).maximum(0), count) as s:
        fn.call("range", VOID, [args, found, fn.select(backwards, count - 1 - s, s), span])
        first, stop = fn.load(I64, span), fn.load(I64, span + 16)
        with fn.when(first < stop):
            true = fn.call("next_open", I64, [args, first])
            with fn.when(true < stop):
                _put(fn, field.address("open"), true, true + 1)
                _put(fn, field.address("seen"), true, phase)
                passed = field.integer("passed_count")
                _put(fn, field.address("passed"), passed, true)
                fn.store(passed + 1, field.at("passed_count"))
                fn.store((s + 1).to(I32, "trunc"), place)
                fn.ret(true)
    fn.ret(fn.index(-1))


def _emit_range(module: Module) -> None:
    """The numbers of the true pixels in a strip about a found pixel: the first, the first not left of it, the stop."""
    names = ("found", "strip", "span")
    fn = module.function("range", [("args", PTR), *((n, PTR if n == "span" else I64) for n in names)], internal=True)
    args, found, strip, span = fn.args
    field = Record(fn, args, FIELDS)
    rows, columns, before = field.integer("rows"), field.integer("columns"), field.address("before")
    y, x = _get(fn, field.address("found_y"), found), _get(fn, field.address("found_x"), found)
    row = y + fn.load(I64, field.address("strips") + strip * 8)
    width = fn.load(I64, field.address("widths") + strip * 8)
    for i in range(3):
        fn.store(fn.index(0), span + 8 * i)
    with fn.when(row.compare("ult", rows)):
        line = row * columns
        for i, column in enumerate(((x - width).maximum(0), x, (x + width + 1).minimum(columns))):
            fn.store(_get(fn, before, line + column), span + 8 * i)


def _emit_next(module: Module) -> None:
    """From an index on, the first that points at itself; pointers are halved on the way."""
    fn = module.function("next", [("pointers", PTR), ("start", I64)], I64, internal=True)
    pointers, start = fn.args
    here = fn.stack(8, 8)
    fn.store(start, here)
    with fn.forever() as stop_if:
        at = fn.load(I64, here)
        to = _get(fn, pointers, at)
        stop_if(to.equals(at))
        further = _get(fn, pointers, to)
        _put(fn, pointers, at, further)
        fn.store(further, here)
    fn.ret(fn.load(I64, here))


def _emit_next_open(module: Module) -> None:
    """From a true pixel on, the first neither set aside nor passed through in this phase."""
    fn = module.function("next_open", [("args", PTR), ("start", I64)], I64, internal=True)
    args, start = fn.args
    field = Record(fn, args, FIELDS)
    phase, seen, pointers, alive = field.integer("phase"), *(field.address(n) for n in ("seen", "open", "alive"))
    here = fn.stack(8, 8)
    fn.store(start, here)
    with fn.forever() as stop_if:
        at = fn.call("next", I64, [alive, fn.load(I64, here)])
        fn.store(at, here)
        stop_if(_get(fn, seen, at).differs(phase))
        to = _get(fn, pointers, at)
        with fn.when(_get(fn, seen, to).equals(phase)):
            _put(fn, pointers, at, _get(fn, pointers, to))
        fn.store(_get(fn, pointers, at), here)
    fn.ret(fn.load(I64, here))


def _get(fn: Function, array: Value, index: Value) -> Value:
    """An element of an int32 array."""
    return fn.load(I32, array + index * 4).to(I64, "sext")


def _put(fn: Function, array: Value, index: Value, value: Value) -> None:
    fn.store(value.to(I32, "trunc"), array + index * 4)
