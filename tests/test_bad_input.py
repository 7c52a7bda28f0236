"""What is not allowed is refused: the argument in backticks, what is allowed, what was given; and before it costs."""

import itertools
import re
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError, ArgumentTypeError, KernelwiseError, RangeError

X = np.arange(20.0).reshape(4, 5)
K = np.ones((3, 3))
WHOLE = np.arange(20, dtype=np.uint8).reshape(4, 5)
NAN = float("nan")


class Odd:
    """Something that is no array and no number."""

    def __repr__(self) -> str:
        return "Odd()"


def masked() -> np.ma.MaskedArray:
    return np.ma.masked_array(X, mask=X > 3)


def frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


Row = tuple[str, dict[str, Any], type[KernelwiseError], str]  # argument at fault, call, error, what was got

TYPES: list[Row] = [
    ("x", {"x": "sobel"}, ArgumentTypeError, "str"),
    ("x", {"x": None}, ArgumentTypeError, "NoneType"),
    ("x", {"x": Odd()}, ArgumentTypeError, "object"),
    ("x", {"x": [[1, 2], [3]]}, ArgumentTypeError, ""),
    ("x", {"x": np.array([[object()]])}, ArgumentTypeError, "object"),
    ("x", {"x": np.array([["a"]])}, ArgumentTypeError, "U1"),
    ("x", {"x": np.zeros((4, 4), "M8[s]")}, ArgumentTypeError, "datetime64"),
    ("x", {"x": np.zeros((4, 4), "i4,f4")}, ArgumentTypeError, ""),
    ("x", {"x": np.zeros((4, 4), np.longdouble)}, ArgumentTypeError, str(np.dtype(np.longdouble))),
    ("x", {"x": masked()}, ArgumentTypeError, "masked"),
    ("k", {"k": None}, ArgumentTypeError, "NoneType"),
    ("k", {"k": Odd()}, ArgumentTypeError, "object"),
    ("k", {"k": np.array([["a"]])}, ArgumentTypeError, "U1"),
    ("k", {"k": np.ma.masked_array(K)}, ArgumentTypeError, "masked"),
    ("k", {"k": K.astype(np.longdouble)}, ArgumentTypeError, str(np.dtype(np.longdouble))),
    ("mode", {"mode": 3}, ArgumentTypeError, "3"),
    ("mode", {"mode": None}, ArgumentTypeError, "None"),
    ("mode", {"mode": b"same"}, ArgumentTypeError, "b'same'"),
    ("mode", {"mode": ["same"]}, ArgumentTypeError, "['same']"),
    ("border", {"border": 0}, ArgumentTypeError, "0"),
    ("border", {"border": None}, ArgumentTypeError, "None"),
    ("border", {"border": ["edge", "wrap"]}, ArgumentTypeError, "['edge', 'wrap']"),
    ("nan", {"nan": NAN}, ArgumentTypeError, "nan"),
    ("nan", {"nan": None}, ArgumentTypeError, "None"),
    ("method", {"method": None}, ArgumentTypeError, "None"),
    ("method", {"method": 1}, ArgumentTypeError, "1"),
    ("fill", {"border": "constant", "fill": "0"}, ArgumentTypeError, "'0'"),
    ("fill", {"border": "constant", "fill": None}, ArgumentTypeError, "None"),
    ("fill", {"border": "constant", "fill": [1, 2]}, ArgumentTypeError, "[1, 2]"),
    ("fill", {"border": "constant", "fill": 1j}, ArgumentTypeError, "1j"),
    ("stride", {"stride": 1.0}, ArgumentTypeError, "1.0"),
    ("stride", {"stride": "2"}, ArgumentTypeError, "'2'"),
    ("stride", {"stride": None}, ArgumentTypeError, "None"),
    ("stride", {"stride": True}, ArgumentTypeError, "True"),
    ("stride", {"stride": (1, 2.5)}, ArgumentTypeError, "2.5"),
    ("stride", {"stride": [[1, 2]]}, ArgumentTypeError, "[[1, 2]]"),
    ("dilation", {"dilation": 2.0}, ArgumentTypeError, "2.0"),
    ("dilation", {"dilation": None}, ArgumentTypeError, "None"),
    ("dilation", {"dilation": {1: 2}}, ArgumentTypeError, "{1: 2}"),
    ("anchor", {"anchor": 1.5}, ArgumentTypeError, "1.5"),
    ("anchor", {"anchor": "centre"}, ArgumentTypeError, "'centre'"),
    ("axes", {"axes": (0.0, 1)}, ArgumentTypeError, "0.0"),
    ("axes", {"axes": "xy"}, ArgumentTypeError, "'xy'"),
    ("threads", {"threads": 1.5}, ArgumentTypeError, "1.5"),
    ("threads", {"threads": "all"}, ArgumentTypeError, "'all'"),
    ("threads", {"threads": True}, ArgumentTypeError, "True"),
    ("dtype", {"dtype": "float99"}, ArgumentTypeError, "'float99'"),
    ("dtype", {"dtype": "object"}, ArgumentTypeError, "object"),
    ("dtype", {"dtype": "M8[s]"}, ArgumentTypeError, "M8"),
    ("dtype", {"dtype": bool}, ArgumentTypeError, "bool"),
    ("dtype", {"dtype": np.longdouble}, ArgumentTypeError, "longdouble"),
    ("dtype", {"dtype": Odd()}, ArgumentTypeError, "Odd()"),
    ("dtype", {"x": X + 1j, "dtype": "f8"}, ArgumentTypeError, "f8"),
    ("dtype", {"k": K + 1j, "dtype": "i4"}, ArgumentTypeError, "i4"),
    ("out", {"out": [[0.0] * 5] * 4}, ArgumentTypeError, "list"),
    ("out", {"out": np.zeros((4, 5), np.float32)}, ArgumentTypeError, "float32"),
    ("out", {"out": np.zeros((4, 5), np.int64)}, ArgumentTypeError, "int64"),
    ("out", {"out": np.ma.zeros((4, 5))}, ArgumentTypeError, "MaskedArray"),
    ("out", {"x": WHOLE, "k": K, "out": np.zeros((4, 5))}, ArgumentTypeError, "float64"),
]

VALUES: list[Row] = [
    ("k", {"k": "sobel-q"}, ArgumentError, "sobel-q"),
    ("k", {"k": np.ones((3, 0))}, ArgumentError, "(3, 0)"),
    ("k", {"k": np.ones((1, 1, 1))}, ArgumentError, "(1, 1, 1)"),
    ("k", {"k": np.float64(2)}, ArgumentError, "()"),
    ("k", {"k": [[NAN, 1]]}, ArgumentError, "NaN"),
    ("k", {"k": [[1, np.inf]]}, ArgumentError, "infinity"),
    ("k", {"k": [[complex(1, -np.inf)]]}, ArgumentError, "infinity"),
    ("k", {"x": np.float64(1), "k": [1.0]}, ArgumentError, "(1,)"),
    ("mode", {"mode": "SAME"}, ArgumentError, "'SAME'"),
    ("mode", {"mode": ""}, ArgumentError, "''"),
    ("border", {"border": "REFLECT"}, ArgumentError, "'REFLECT'"),
    ("border", {"border": "nearest"}, ArgumentError, "'nearest'"),
    ("border", {"border": "empty"}, ArgumentError, "'empty'"),
    ("nan", {"nan": "ignore"}, ArgumentError, "'ignore'"),
    ("nan", {"k": K - 1, "nan": "omit"}, ArgumentError, "sum is 0"),
    ("nan", {"k": [[1, -1.0]], "nan": "omit"}, ArgumentError, "sum is 0"),
    ("method", {"method": "fft"}, ArgumentError, "'fft'"),
    ("method", {"k": np.arange(9.0).reshape(3, 3) ** 2, "method": "separable"}, ArgumentError, "separable"),
    ("fill", {"fill": 1}, ArgumentError, "1"),
    ("fill", {"border": "edge", "fill": 0.5}, ArgumentError, "0.5"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": 0.5}, ArgumentError, "0.5"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": -1}, ArgumentError, "-1"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": 256}, ArgumentError, "256"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": NAN}, ArgumentError, "nan"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": float("inf")}, ArgumentError, "inf"),
    ("fill", {"x": WHOLE, "border": "constant", "fill": 10**400}, ArgumentError, "1000"),
    ("fill", {"border": "constant", "fill": 10**400}, ArgumentError, "1000"),
    ("anchor", {"anchor": 3}, ArgumentError, "3"),
    ("anchor", {"anchor": -1}, ArgumentError, "-1"),
    ("anchor", {"anchor": (1, 1, 1)}, ArgumentError, "(1, 1, 1)"),
    ("anchor", {"anchor": (0, 3)}, ArgumentError, "(0, 3)"),
    ("anchor", {"anchor": 1, "mode": "valid"}, ArgumentError, "'valid'"),
    ("anchor", {"anchor": (1, 1), "mode": "full"}, ArgumentError, "'full'"),
    ("stride", {"stride": 0}, ArgumentError, "0"),
    ("stride", {"stride": -1}, ArgumentError, "-1"),
    ("stride", {"stride": (1, 1, 1)}, ArgumentError, "(1, 1, 1)"),
    ("stride", {"stride": ()}, ArgumentError, "()"),
    ("dilation", {"dilation": 0}, ArgumentError, "0"),
    ("dilation", {"dilation": (2, -2)}, ArgumentError, "-2"),
    ("axes", {"axes": (0, 0)}, ArgumentError, "(0, 0)"),
    ("axes", {"axes": (-1, 1)}, ArgumentError, "(-1, 1)"),
    ("axes", {"axes": (0, 2)}, ArgumentError, "2"),
    ("axes", {"axes": (0, -3)}, ArgumentError, "-3"),
    ("axes", {"axes": 1}, ArgumentError, "1"),
    ("threads", {"threads": 0}, ArgumentError, "0"),
    ("threads", {"threads": -2}, ArgumentError, "-2"),
    ("out", {"out": np.zeros((5, 4))}, ArgumentError, "(5, 4)"),
    ("out", {"out": np.zeros((4, 5)), "mode": "valid"}, ArgumentError, "(4, 5)"),
    ("out", {"out": frozen(np.zeros((4, 5)))}, ArgumentError, "read-only"),
    ("out", {"out": np.lib.stride_tricks.as_strided(np.zeros(5), (4, 5), (0, 8))}, ArgumentError, "broadcast"),
    ("border", {"x": np.zeros((0, 5)), "mode": "full"}, ArgumentError, "'reflect'"),
]
ROWS = TYPES + VALUES
NAMES = [f"{i}-{row[0]}" for i, row in enumerate(ROWS)]


def call(function: Any, given: dict[str, Any]) -> Any:
    options = {"x": X, "k": K, **given}
    return function(options.pop("x"), options.pop("k"), **options)


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
@pytest.mark.parametrize("function", [kw.correlate, kw.convolve], ids=["correlate", "convolve"])
def test_what_is_not_allowed_is_refused_by_name(function: Any, row: Row) -> None:
    argument, given, error, got = row
    with pytest.raises(error) as raised:
        call(function, given)
    message = str(raised.value)
    assert f"`{argument}`" in message
    assert got in message
    assert len(message) < 1000


@pytest.mark.parametrize("row", ROWS, ids=NAMES)
def test_a_good_call_does_not_let_a_bad_one_through(row: Row) -> None:
    """The way for calls that were made before makes no exceptions."""
    argument, given, error, _ = row
    for threads in (None, 1):
        kw.correlate(X, K, threads=threads)
        kw.correlate(X, K, threads=threads)
    kw.correlate(WHOLE, K)
    with pytest.raises(error, match=re.escape(f"`{argument}`")):
        call(kw.correlate, given)


@pytest.mark.parametrize("row", [r for r in ROWS if r[0] not in ("x", "out")], ids=lambda row: row[0])
def test_filter_and_explain_refuse_the_same(row: Row) -> None:
    argument, given, error, _ = row
    options = {"x": X, "k": K, **given}
    x, k = options.pop("x"), options.pop("k")
    with pytest.raises(error, match=re.escape(f"`{argument}`")):
        kw.Filter(k, **options)(x)
    if argument != "threads":
        with pytest.raises(error, match=re.escape(f"`{argument}`")):
            kw.explain(x, k, **options)


@pytest.mark.parametrize("out", [row[1]["out"] for row in ROWS if row[0] == "out" and len(row[1]) == 1])
def test_a_filter_that_is_warm_still_looks_at_out(out: Any) -> None:
    f = kw.Filter(K)
    f(X)
    f(X, np.zeros_like(X))
    with pytest.raises((ArgumentError, ArgumentTypeError), match="`out`"):
        f(X, out)


def test_a_refused_call_writes_nothing() -> None:
    out = np.full((4, 5), 7.0)
    for argument, given, error, _ in ROWS:
        if argument not in ("out", "x"):
            with pytest.raises(error):
                call(kw.correlate, {**given, "out": out})
    assert (out == 7).all()


def test_unknown_arguments_are_python_errors() -> None:
    for function in (kw.correlate, kw.convolve, kw.explain):
        with pytest.raises(TypeError, match="boundary"):
            function(X, K, boundary="symm")
    with pytest.raises(TypeError, match="boundary"):
        kw.Filter(K, boundary="symm")


# ---------------------------------------------------------------- numbers that are too large

HUGE = (2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 5, 2**63, 2**64, 10**30)
SMALL_BYTES, SHORT_SECONDS = 1 << 20, 0.05


def cost_of(given: dict[str, Any]) -> tuple[float, int, Any]:
    """(seconds, most bytes at a time, result or error) of a call."""
    tracemalloc.start()
    start = time.perf_counter()
    try:
        result: Any = call(kw.correlate, given)
    except (KernelwiseError, MemoryError) as error:
        result = error
    seconds, most = time.perf_counter() - start, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, most, result


@pytest.mark.parametrize("argument", ["stride", "dilation", "anchor", "axes", "threads"])
@pytest.mark.parametrize("number", HUGE)
def test_huge_numbers_are_refused_or_right_at_once(argument: str, number: int) -> None:
    for value, mode in itertools.product((number, -number, (1, number)), ("same", "valid", "full")):
        if argument == "threads" and isinstance(value, tuple):
            continue
        given = {argument: value, "mode": mode, "border": "constant"}
        cost_of(given)
        seconds, most, result = min((cost_of(given) for _ in range(3)), key=lambda cost: cost[0])
        assert most < SMALL_BYTES, (given, most)
        assert seconds < SHORT_SECONDS, (given, seconds)
        if isinstance(result, np.ndarray):
            assert argument == "stride" or (argument == "threads" and number > 0), given
            if argument == "stride":
                rows, columns = value if isinstance(value, tuple) else (value, value)
                whole = kw.correlate(X, K, mode=mode, border="constant")
                assert np.array_equal(result, whole[::rows, ::columns]), given
        else:
            assert f"`{argument}`" in str(result) or "`anchor`" in str(result), (given, result)


def test_huge_images_are_refused_before_anything_is_allocated() -> None:
    """A view of one pixel that says it is large: there is no memory for the answer, and none is asked for."""
    for shape in ((2**24, 2**24), (2, 2**30, 2**20), (1, 2**50), (2**50, 1), (3, 2**31, 2**20)):
        x = np.broadcast_to(np.float64(1), shape)
        for mode, dilation in itertools.product(("same", "full", "valid"), (1, 2**20)):
            seconds, most, result = cost_of({"x": x, "mode": mode, "dilation": dilation})
            if isinstance(result, np.ndarray):
                assert result.size == 0
            else:
                assert isinstance(result, KernelwiseError), result
            assert most < SMALL_BYTES and seconds < SHORT_SECONDS


def test_a_window_far_from_a_huge_image_is_right() -> None:
    """Strides over a huge view: few outputs, each exact."""
    x = np.broadcast_to(np.uint8(3), (2**33, 5))
    got = kw.correlate(x, np.ones((3, 1), np.int8), stride=(2**31 - 1, 1), border="constant")
    assert got.shape == (5, 5)
    assert got[0].tolist() == [6] * 5
    assert (got[1:] == 9).all()


# ---------------------------------------------------------------- sums that do not fit


def test_sums_beyond_64_bits_are_refused() -> None:
    for code, top in (("i8", 2**63 - 1), ("i8", -(2**63)), ("u8", 2**64 - 1), ("u8", 2**63)):
        x = np.array([1, top, 2], code)
        with pytest.raises(RangeError, match="64 bits"):
            kw.correlate(x, [1, 1, 1])
        with pytest.raises(OverflowError):
            kw.correlate(x, [0, 2**40, 0])
    assert kw.correlate(np.array([2**63 - 2], "u8"), [1]).tolist() == [2**63 - 2]
    assert kw.correlate(np.array([2**53 + 1], "i8"), [1]).tolist() == [2**53 + 1]
    assert kw.correlate(np.array([], "u8"), [2**62]).tolist() == []


def test_a_call_on_small_values_does_not_let_large_ones_through() -> None:
    """Images of 64-bit integers are looked at anew in every call."""
    small, large = np.arange(9, dtype=np.int64), np.full(9, 2**62, np.int64)
    f = kw.Filter([1, 2, 1])
    for _ in range(3):
        assert f(small)[4] == 16 and kw.correlate(small, [1, 2, 1])[4] == 16
        for function in (f, lambda x: kw.correlate(x, [1, 2, 1])):
            with pytest.raises(OverflowError):
                function(large)
