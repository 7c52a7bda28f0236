"""The fast entry: it runs the routine on exactly the arrays it was made for, and leaves all others alone."""

import gc
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kernelwise.errors import ArgumentError
from kernelwise.jit import entry, entry_code, layout, pool, target
from kernelwise.jit.compile import assembly
from kernelwise.jit.ir import Module
from support.jobs import LINUX, assert_once, program
from support.routines import ADDRESS, turns_of

SHAPE = (6, 8)


@pytest.fixture(params=["builtin", "ctypes"], autouse=True)
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KERNELWISE_ENTRY", request.param)
    return request.param


def halving(
    shape: tuple[int, ...] = SHAPE, units: int = 1, threads: int = 1, keep: object = None, **changed: Any
) -> entry.Apply:
    """out = x / 2 for float32 arrays of that shape, whose size is a multiple of the number of units."""
    settings: dict[str, Any] = {
        "routine": ADDRESS["halve"],
        "args": np.array([0, 0, int(np.prod(shape)) // max(units, 1)]),
        "scratch_bytes": 0,
        "units": units,
        "x_shape": shape,
        "x_dtype": np.dtype(np.float32),
        "out_shape": shape,
        "out_dtype": np.dtype(np.float32),
        "threads": threads,
        "release": threads > 1,
        "keep": keep,
    }
    return entry.bind(**settings | changed)


def arrays(shape: tuple[int, ...] = SHAPE) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)
    return x, np.full(shape, -1, np.float32)


def test_the_implementation_is_the_one_asked_for(implementation: str) -> None:
    assert entry.implementation() == implementation
    assert (type(halving()) is type(len)) == (implementation == "builtin")


# ---- arrays that fit


@pytest.mark.parametrize("release", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (7,), SHAPE, (3, 4, 5), (1, 2, 1, 2, 3, 1)])
def test_arrays_that_fit_are_worked_on(shape: tuple[int, ...], release: bool) -> None:
    x, out = arrays(shape)
    apply = halving(shape, release=release)
    assert apply(x, out) is out
    assert np.array_equal(out, x / 2)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("units", [1, 2, 60])
def test_units_are_shared_among_threads(units: int, threads: int) -> None:
    x, out = arrays((60, 50))
    assert halving((60, 50), units, threads)(x, out) is out
    assert np.array_equal(out, x / 2)


def test_no_units_are_no_work() -> None:
    x, out = arrays()
    assert halving(units=0)(x, out) is out
    assert (out == -1).all()


def test_an_array_that_owns_no_data_fits_too() -> None:
    x, out = arrays((2, *SHAPE))
    assert halving()(x[1], out[0]) is not None
    assert np.array_equal(out[0], x[1] / 2)
    assert (out[1] == -1).all()


def test_neighbours_in_memory_do_not_overlap() -> None:
    both = np.ones((2, *SHAPE), np.float32)
    for x, out in ((both[0], both[1]), (both[1], both[0])):
        x[...], out[...] = 1, 0
        assert halving()(x, out) is out
        assert (out == 0.5).all()


@pytest.mark.parametrize("size", [3, 7, 8, 9, 79, 80])
def test_all_words_of_the_arguments_arrive(size: int) -> None:
    words, args = np.zeros(size - 2, np.int64), np.arange(size) * 1000
    apply = halving(
        routine=ADDRESS["last_words"], args=args, x_shape=words.shape, x_dtype=words.dtype, units=words.size, threads=2
    )
    args[:] = -5  # the callable has its own
    assert apply(words, np.zeros(SHAPE, np.float32)) is not None
    assert (words == np.arange(2, size) * 1000).all()


# ---- arrays that do not


class Subclass(np.ndarray):
    """An array that may be anything."""


def misfits() -> Iterator[tuple[str, Any, Any]]:
    x, out = arrays()
    read_only = out.copy()
    read_only.flags.writeable = False
    memory = np.zeros(x.nbytes + 1, np.uint8)
    room = np.zeros((7, 8), np.float32)
    yield "x of another dtype of the same size", x.view(np.int32), out
    yield "x of another dtype", x.astype(np.float64), out
    yield "out of another dtype", x, out.astype(np.float64)
    yield "x of foreign byte order", x.astype(x.dtype.newbyteorder()), out
    yield "out of foreign byte order", x, out.astype(out.dtype.newbyteorder())
    yield "x of another shape", x[:5], out
    yield "out of another shape", x, out[:5]
    yield "x transposed", np.ones(SHAPE[::-1], np.float32).T, out
    yield "x in Fortran order", np.asfortranarray(x), out
    yield "out in Fortran order", x, np.asfortranarray(out)
    yield "x with gaps", np.ones((6, 16), np.float32)[:, ::2], out
    yield "x backwards", x[::-1], out
    yield "out with gaps", x, np.ones((12, 8), np.float32)[::2]
    yield "x with fewer axes", x.ravel(), out
    yield "out with more axes", x, out[None]
    yield "x with one more axis of length 1", x[..., None], out
    yield "out with one more axis of length 1", x, out[..., None]
    yield "x without axes", np.float32(1) + np.zeros((), np.float32), out
    yield "out read-only", x, read_only
    yield "x a subclass", x.view(Subclass), out
    yield "out a subclass", x, out.view(Subclass)
    yield "x masked", np.ma.masked_array(x), out
    yield "x unaligned", memory[1:].view(np.float32).reshape(SHAPE), out
    yield "out unaligned", x, memory[1:].view(np.float32).reshape(SHAPE)
    yield "x is out", out, out
    yield "x overlaps the end of out", room[1:], room[:-1]
    yield "x overlaps the start of out", room[:-1], room[1:]
    yield "x broadcast", np.broadcast_to(np.float32(1), SHAPE), out
    yield "x no array", x.tolist(), out
    yield "x None", None, out
    yield "out None", x, None
    yield "out a number", x, 3
    yield "a memory view", memoryview(x), out


@pytest.mark.parametrize(("x", "out"), [case[1:] for case in misfits()], ids=[case[0] for case in misfits()])
def test_arrays_that_do_not_fit_are_left_alone(x: Any, out: Any) -> None:
    before = [np.array(a, copy=True) if isinstance(a, np.ndarray) else None for a in (x, out)]
    assert halving()(x, out) is None
    for array, was in zip((x, out), before, strict=True):
        assert was is None or np.array_equal(array, was)


def test_no_more_and_no_fewer_than_two_arguments() -> None:
    apply, (x, out) = halving(), arrays()
    for given in ((), (x,), (x, out, x)):
        with pytest.raises(TypeError):
            apply(*given)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        apply(x=x, out=out)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "args", [np.zeros(1, np.int64), np.zeros(81, np.int64), np.zeros(4), np.zeros((2, 2), np.int64)]
)
def test_a_bad_template_is_refused(args: np.ndarray) -> None:
    with pytest.raises(ArgumentError, match="`args` must be 2 to 80 words of int64"):
        halving(args=args)


# ---- calls at the same time, signals, forks, memory


def test_calls_at_the_same_time_do_not_disturb_each_other() -> None:
    shape, failures = (64, 512), []
    apply = halving(shape, units=64, threads=2)

    def work(seed: int) -> None:
        x, out = np.full(shape, seed, np.float32), np.zeros(shape, np.float32)
        for _ in range(100):
            out[...] = 0
            if apply(x, out) is not out or (out != seed / 2).any():
                failures.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


def bound_count(counts: np.ndarray, turns: int, units: int, threads: int) -> Callable[[], object]:
    """`count` through the entry: word 0 is the image and so where it counts; how long it takes stands in word 2."""
    out = np.zeros(1, np.float32)
    apply = entry.bind(
        routine=ADDRESS["count_in_x"],
        args=np.array([0, 0, turns]),
        scratch_bytes=0,
        units=units,
        x_shape=counts.shape,
        x_dtype=counts.dtype,
        out_shape=(1,),
        out_dtype=out.dtype,
        threads=threads,
        release=True,
        keep=None,
    )
    return lambda: apply(counts, out)


def test_a_job_longer_than_a_slice_goes_on_where_it_was() -> None:
    for threads in (1, 2):
        counts = np.zeros(2002, np.int64)
        assert bound_count(counts, turns_of(50e-6), 2000, threads)() is not None
        assert_once(counts)


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_within_a_tenth_of_a_second(
    threads: int, implementation: str, report_figure: Callable[[str, str], None]
) -> None:
    body = f"""
        from test_entry import bound_count
        counts = np.zeros(200_000, np.int64)
        print(seconds_to_answer_ctrl_c(bound_count(counts, turns_of(200e-6), counts.size, {threads}), counts))
        counts[:] = 0
        bound_count(counts, 0, counts.size, {threads})()
        assert (counts == 1).all()
    """
    seconds = float(program(body, KERNELWISE_ENTRY=implementation))
    report_figure(f"Ctrl-C answered, {implementation}, {threads} threads", f"{seconds * 1e3:.0f} ms")
    assert seconds < 0.1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_callable_bound_before_a_fork_works_in_the_child(implementation: str) -> None:
    """And where it has threads, they are there again."""
    body = """
        from test_entry import bound_count
        counts = np.zeros(302, np.int64)
        call = bound_count(counts, turns_of(20e-6), 300, 3)
        def act():
            counts[:] = 0
            call()
            assert_once(counts)
            assert pool.engine().workers == 2
        act()
        in_children(act)
        act()
    """
    program(body, KERNELWISE_ENTRY=implementation)


def test_scratch_that_cannot_be_had_is_a_memory_error() -> None:
    x, out = arrays()
    with pytest.raises(MemoryError):
        halving(scratch_bytes=1 << 62)(x, out)
    assert halving(scratch_bytes=100_000)(x, out) is out


def test_ten_thousand_calls_leave_no_reference_behind() -> None:
    x, out = arrays()
    other, keep = np.zeros(3), object()
    apply = halving(keep=keep)
    things = [x, out, other, keep, apply, x.dtype, np.ndarray]
    apply(x, out)
    gc.collect()
    before = [sys.getrefcount(thing) for thing in things]
    nones = sys.getrefcount(None)
    for _ in range(10_000):
        apply(x, out)
        apply(x, other)
        apply(other, out)
    gc.collect()
    assert [sys.getrefcount(thing) for thing in things] == before
    assert abs(sys.getrefcount(None) - nones) < 1000


def test_what_is_kept_lives_as_long_as_the_callable() -> None:
    x, out = arrays()
    keep = np.zeros(3).view(Subclass)
    apply = halving(keep=keep)
    alive = weakref.ref(keep)
    del keep
    gc.collect()
    assert alive() is not None
    assert apply(x, out) is out
    del apply
    gc.collect()
    assert alive() is None


def test_a_callable_in_a_cycle_with_what_it_keeps_is_collected() -> None:
    keep: list[object] = [np.zeros(3).view(Subclass)]
    alive = weakref.ref(keep[0])
    keep.append(halving(keep=keep))
    del keep
    gc.collect()
    assert alive() is None


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_callables(implementation: str) -> None:
    out = program(
        """
        from test_entry import arrays, halving
        x, out = arrays()
        def bind_and_call(n):
            for _ in range(n):
                assert halving()(x, out) is out
        bind_and_call(500)
        before = resident()
        bind_and_call(5000)
        print(resident() - before)
        """,
        KERNELWISE_ENTRY=implementation,
    )
    assert int(out) < 1 << 20


# ---- the choice of the implementation


def test_an_unknown_implementation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELWISE_ENTRY", "magic")
    with pytest.raises(ArgumentError, match="`KERNELWISE_ENTRY` must be 'builtin' or 'ctypes'"):
        halving()


def test_fields_in_another_place_are_noticed() -> None:
    right, array = layout.fields(), np.zeros(SHAPE, np.float32)
    assert right is not None
    assert right.fit(array)
    for name in ("type", "data", "ndim", "descr", "flags"):
        assert not replace(right, **{name: right.flags + 16 if name == "flags" else 48}).fit(array)
    assert not replace(right, shape=right.strides, strides=right.shape).fit(array)
    assert not replace(right, flags=np.ndarray.__basicsize__).fit(array)


def test_where_the_fields_are_not_known_ctypes_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry, "fields", lambda: None)
    monkeypatch.delenv("KERNELWISE_ENTRY")
    assert entry.implementation() == "ctypes"
    x, out = arrays()
    assert halving()(x, out) is out
    assert np.array_equal(out, x / 2)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse", "neon"])
def test_the_code_can_be_generated_for_every_target(name: str) -> None:
    machine, fields = target.named(name), layout.fields()
    assert fields is not None
    module = Module(machine)
    entry_code.emit(module, fields)
    assert "apply:" in assembly(module.text, machine)


def test_a_call_costs_little(implementation: str, report_figure: Callable[[str, str], None]) -> None:
    """Generous, for a busy machine."""
    apply, (x, out), best = halving(routine=ADDRESS["nothing"]), arrays(), 1.0
    assert pool.engine() is pool.engine()
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(1000):
            apply(x, out)
        best = min(best, time.perf_counter() - start)
    report_figure(f"a bound call, {implementation}", f"{best * 1e3:.2f} us")
    assert best / 1000 < {"builtin": 2e-6, "ctypes": 100e-6}[implementation]
