"""The machine code of the builtin that `entry.bind` returns."""

from __future__ import annotations

from .ir import Function, Module
from .layout import Fields
from .records import JOB, JOB_BYTES, NO_MEMORY, PAUSED
from .types import I1, I32, I64, PTR, VOID
from .values import Record, Value

MAX_ARGS = 80
STEP = 8  # words of the arguments that are copied at once

JOB_FIELDS = ("routine", "args", "scratch_bytes", "units", "participants")  # the first fields of JOB
SELF_FIELDS = ("run", "pool", "workers", "limit", "grow", "release", "words", "ndarray", "none", "x", "out")
BINDING = (*JOB_FIELDS, *SELF_FIELDS)  # what the builtin knows; `x` and `out` point to a WANTED with its shape
WANTED = ("descr", "flags", "bytes", "ndim")

CALLS = ("PyEval_SaveThread", "PyEval_RestoreThread", "PyErr_CheckSignals", "PyErr_NoMemory", "PyErr_BadArgument")
OBJECT_CALLS = ("PyObject_CallObject", "Py_IncRef", "Py_DecRef")
C_API = (*CALLS, *OBJECT_CALLS)


def emit(module: Module, fields: Fields) -> None:
    """``PyObject *apply(PyObject *self, PyObject *const *args, Py_ssize_t n)``."""
    _emit_fits(module, fields)
    _emit_grown(module)
    _emit_apply(module, fields)


def _emit_fits(module: Module, fields: Fields) -> None:
    """``i1 fits(ptr array, ptr wanted, ptr ndarray)``."""
    fn = module.function("fits", [("array", PTR), ("wanted", PTR), ("ndarray", PTR)], I1, internal=True)
    array, wanted, ndarray = fn.args[0], Record(fn, fn.args[1], WANTED), fn.args[2]
    ndim, no = wanted.integer("ndim"), fn.constant(I1, 0)
    with fn.when(fn.load(PTR, array + fields.type).differs(ndarray)):
        fn.ret(no)  # nothing more is known of this object
    flags = wanted.integer("flags")
    fit = fn.load(PTR, array + fields.descr).equals(wanted.address("descr"))
    fit = fit & fn.load(I32, array + fields.ndim).to(I64, "zext").equals(ndim)
    fit = fit & (fn.load(I32, array + fields.flags).to(I64, "zext") & flags).equals(flags)
    with fn.when(fit.equals(0)):
        fn.ret(no)
    have, want = fn.load(PTR, array + fields.shape), wanted.pointer + 8 * len(WANTED)
    with fn.loop(0, ndim) as axis:
        with fn.when(fn.load(I64, have + axis * 8).differs(fn.load(I64, want + axis * 8))):
            fn.ret(no)
    fn.ret(fn.constant(I1, 1))


def _emit_grown(module: Module) -> None:
    """``i1 grown(ptr binding)``: see that there are as many workers as can be used; 0 if that raised an exception."""
    fn = module.function("grown", [("binding", PTR)], I1, internal=True)
    binding = Record(fn, fn.args[0], BINDING)
    wanted = (binding.integer("participants") - 1).minimum(fn.atomic_load(binding.address("limit")))
    yes = fn.constant(I1, 1)
    with fn.when(fn.atomic_load(binding.address("workers")) >= wanted):
        fn.ret(yes)
    result = fn.call("PyObject_CallObject", PTR, [binding.address("grow"), fn.null()])
    with fn.when(result.equals(fn.null())):
        fn.ret(fn.constant(I1, 0))
    fn.call("Py_DecRef", VOID, [result])
    fn.ret(yes)


def _emit_apply(module: Module, fields: Fields) -> None:
    fn = module.function("apply", [("self", PTR), ("args", PTR), ("n", I64)], PTR)
    with fn.when(fn.args[2].differs(2)):
        fn.call("PyErr_BadArgument", I32, [])
        fn.ret(fn.null())
    x, out = (fn.load(PTR, fn.args[1] + 8 * i) for i in range(2))
    binding = Record(fn, fn.load(PTR, fn.args[0] + fields.data), BINDING)
    data = [_data_if_it_fits(fn, binding, name, array, fields) for name, array in (("x", x), ("out", out))]
    _return_none_if(fn, binding, _overlap(fn, binding, data))
    with fn.when(fn.call("grown", I1, [binding.pointer]).equals(0)):
        fn.ret(fn.null())
    args = _private_args(fn, binding, data)
    job = _job(fn, binding, args)
    _run_all_slices(fn, binding, job)
    fn.call("Py_IncRef", VOID, [out])
    fn.ret(out)


def _return_none_if(fn: Function, binding: Record, condition: Value) -> None:
    with fn.when(condition):
        none = binding.address("none")
        fn.call("Py_IncRef", VOID, [none])
        fn.ret(none)


def _data_if_it_fits(fn: Function, binding: Record, name: str, array: Value, fields: Fields) -> Value:
    """The address of the data of an array that fits; for one that does not, `apply` is over."""
    fits = fn.call("fits", I1, [array, binding.address(name), binding.address("ndarray")])
    _return_none_if(fn, binding, fits.equals(0))
    return fn.load(PTR, array + fields.data)


def _overlap(fn: Function, binding: Record, data: list[Value]) -> Value:
    x_bytes, out_bytes = (Record(fn, binding.address(name), WANTED).integer("bytes") for name in ("x", "out"))
    x, out = (pointer.to(I64, "ptrtoint") for pointer in data)
    return x.compare("ult", out + out_bytes) & out.compare("ult", x + x_bytes)


def _private_args(fn: Function, binding: Record, data: list[Value]) -> Value:
    """A copy of the arguments on the stack, with this call's arrays in it."""
    args, template = fn.stack(8 * MAX_ARGS), binding.address("args")
    with fn.loop(0, binding.integer("words") * 8, 8 * STEP) as at:
        fn.store(fn.load(I64.of(STEP), template + at), args + at)
    for i, pointer in enumerate(data):
        fn.store(pointer, args + 8 * i)
    return args


def _job(fn: Function, binding: Record, args: Value) -> Value:
    """The record of a new job on the stack, with the binding's fields."""
    memory = fn.stack(JOB_BYTES, 64)
    job = Record(fn, memory, JOB)
    for name in JOB_FIELDS:
        fn.store(binding.integer(name), job.at(name))
    fn.store(args, job.at("args"))
    fn.store(fn.constant(I64, 0), job.at("shared_out"))
    return memory


def _run_all_slices(fn: Function, binding: Record, job: Value) -> None:
    """Run to the end; between two slices signals are handled. `apply` is over if that raises an exception."""
    release, state = binding.integer("release").differs(0), fn.stack(8, 8)
    with fn.forever() as stop_if:
        with fn.when(release):
            fn.store(fn.call("PyEval_SaveThread", PTR, []), state)
        status = fn.call_pointer(binding.address("run"), I64, [binding.address("pool"), job])
        with fn.when(release):
            fn.call("PyEval_RestoreThread", VOID, [fn.load(PTR, state)])
        with fn.when(status.equals(NO_MEMORY)):
            fn.ret(fn.call("PyErr_NoMemory", PTR, []))
        stop_if(status.differs(PAUSED))
        with fn.when(fn.call("PyErr_CheckSignals", I32, []).differs(0)):
            fn.ret(fn.null())
