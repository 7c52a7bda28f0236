"""Random calls of the functions that scipy.ndimage and kernelwise.ndimage share, right ones and wrong ones."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np

DTYPES = ("?", "u1", "i1", "u2", "i2", "i4", "u4", "i8", "u8", "f4", "f8", "c8", "c16", ">f4", ">i2")
MODES = ("reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "wrap", "grid-wrap")
SIZES = (0, 1, 2, 3, 4, 5, 7, 9, 13, 20, 41)
FUNCTIONS = (
    "correlate", "convolve", "correlate1d", "convolve1d", "gaussian_filter", "gaussian_filter1d", "uniform_filter",
    "uniform_filter1d", "sobel", "prewitt", "laplace", "gaussian_laplace", "gaussian_gradient_magnitude",
    "generic_laplace", "generic_gradient_magnitude",
)  # fmt: skip


class Random:
    """Random arguments from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([2, seed])

    def one(self, *values: Any) -> Any:
        return values[self.rng.integers(len(values))]

    def chance(self, part: float) -> bool:
        return bool(self.rng.random() < part)

    def dtype(self) -> np.dtype:
        return np.dtype(self.one(*DTYPES))

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Numbers of moderate size; now and then a NaN, an infinity or awkward strides."""
        scale = self.one(1, 60, 3000)
        with np.errstate(all="ignore"):
            values = self.rng.standard_normal(shape) * scale
            if dtype.kind == "c":
                values = values + 1j * self.rng.standard_normal(shape)
            if dtype.kind == "u":
                values = np.abs(values)
            x = np.asarray(values).astype(dtype)
        if dtype.kind == "f" and x.size and self.chance(0.1):
            x.flat[self.rng.integers(x.size)] = self.one(np.nan, np.inf, -np.inf, -0.0)
        if self.chance(0.15) and x.ndim:
            axis = int(self.rng.integers(x.ndim))
            x = np.flip(np.repeat(x, 2, axis=axis), axis)[(slice(None),) * axis + (slice(None, None, 2),)]
        if self.chance(0.1):
            x = np.asfortranarray(x)
        return x

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        w = self.rng.standard_normal(shape) if self.chance(0.6) else self.rng.integers(-3, 4, shape).astype(float)
        w = np.asarray(w + self.rng.integers(-1, 2) * np.flip(w))
        w[self.rng.random(shape) < self.one(0, 0.2)] = 0
        if self.chance(0.15):
            w = w + 1j * self.rng.standard_normal(shape)
        if self.chance(0.1):
            w = w.astype(self.one("f4", "i8"), casting="unsafe") if w.dtype.kind != "c" else w.astype("c8")
        return w


class Call(NamedTuple):
    function: str
    args: tuple[Any, ...]
    options: dict[str, Any]

    def run(self, library: Any) -> np.ndarray | Exception:
        """The result, or the exception. Arrays that are written to are the call's own."""
        options = dict(self.options)
        if isinstance(options.get("output"), np.ndarray):
            options["output"] = options["output"].copy()
        args = [getattr(library, a[1:]) if isinstance(a, str) and a[:1] == "@" else a for a in self.args]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return getattr(library, self.function)(*args, **options)
            except Exception as error:
                return error


def random_call(seed: int) -> Call:
    """The call of that number; about one in eight is wrong in some way."""
    r = Random(seed)
    function = FUNCTIONS[seed % len(FUNCTIONS)]
    ndim = int(r.one(0, 1, 1, 2, 2, 2, 2, 3, 3))
    shape = tuple(int(r.one(*SIZES)) if r.chance(0.5) else int(r.rng.integers(2, 25)) for _ in range(ndim))
    x = r.array(shape, r.dtype())
    options: dict[str, Any] = {"mode": r.one(*MODES)}
    if r.chance(0.5):
        options["cval"] = r.one(0.0, 1, 2.5, -3.0, 300, np.nan, np.float32(0.1), 1e6)
        if x.dtype.kind == "c" and r.chance(0.3):
            options["cval"] = 1.5 - 2j
    if r.chance(0.4):
        result = r.dtype()
        options["output"] = r.one(result, result.str, np.zeros(shape, result))
    one_axis = function.endswith("1d") or function in ("sobel", "prewitt")
    many_modes = function not in (
        "correlate",
        "convolve",
        "correlate1d",
        "convolve1d",
        "uniform_filter1d",
        "gaussian_filter1d",
    )
    count = ndim
    if one_axis:
        if r.chance(0.7):
            options["axis"] = int(r.rng.integers(-ndim, ndim)) if ndim else 0
    elif r.chance(0.3) and ndim:
        count = int(r.rng.integers(0, ndim + 1))
        options["axes"] = tuple(int(a) - r.one(0, ndim) for a in r.rng.permutation(ndim)[:count])
    if many_modes and r.chance(0.3):
        options["mode"] = [r.one(*MODES) for _ in range(ndim if one_axis else count)]
    args: list[Any] = [x]
    _arguments(r, function, args, options, count, ndim)
    if r.chance(0.06):
        _spoil(r, args, options)
    return Call(function, tuple(args), options)


def _arguments(r: Random, function: str, args: list[Any], options: dict[str, Any], count: int, ndim: int) -> None:
    """What only this function takes."""
    if function in ("correlate", "convolve"):
        sizes = tuple(int(r.one(1, 1, 2, 3, 3, 4, 5, 9)) for _ in range(count))
        args.append(r.weights(sizes))
        if r.chance(0.4):
            options["origin"] = [int(r.rng.integers(-(n // 2), (n + 1) // 2)) for n in sizes] if r.chance(0.9) else 1
    elif function in ("correlate1d", "convolve1d"):
        taps = int(r.one(1, 2, 3, 4, 5, 8, 9, 15, 40, 81))
        args.append(r.weights((taps,)))
        if r.chance(0.4):
            options["origin"] = int(r.rng.integers(-(taps // 2) - r.chance(0.1), (taps + 1) // 2))
    elif function == "uniform_filter1d":
        size = int(r.one(1, 2, 3, 4, 5, 8, 31, 70))
        args.append(size)
        if r.chance(0.4):
            options["origin"] = int(r.rng.integers(-(size // 2), (size + 1) // 2))
    elif function == "uniform_filter":
        args.append([int(r.one(1, 2, 3, 5, 12)) for _ in range(count)] if r.chance(0.5) else int(r.one(2, 3, 9)))
    elif function.startswith("gaussian"):
        _gaussian_arguments(r, function, args, options, count, ndim)
    elif function == "generic_laplace":
        args.append(_second)
        if r.chance(0.3):
            options["extra_keywords"] = {"factor": 2}
    elif function == "generic_gradient_magnitude":
        args.append(r.one("@sobel", "@prewitt", _first))


def _gaussian_arguments(
    r: Random, function: str, args: list[Any], options: dict[str, Any], count: int, ndim: int
) -> None:
    sigma = r.one(0.5, 1, 1.7, 3.0, np.float32(0.8))
    many = function != "gaussian_filter1d" and r.chance(0.3)
    length = ndim if function == "gaussian_gradient_magnitude" else count
    args.append([r.one(0, 0.6, 1.3, 2) for _ in range(length)] if many else sigma)
    if function in ("gaussian_filter", "gaussian_filter1d") and r.chance(0.5):
        options["order"] = (
            int(r.one(0, 1, 2, 3)) if r.chance(0.7) or function[-1] == "d" else [r.one(0, 1, 2) for _ in range(count)]
        )
    if r.chance(0.3):
        options["truncate"] = r.one(1.0, 2.5, 6.0)
    if r.chance(0.2):
        options["radius"] = int(r.one(0, 1, 4, 30))


def _spoil(r: Random, args: list[Any], options: dict[str, Any]) -> None:
    """One argument made wrong, or rare."""
    what = r.one("mode", "cval", "output", "origin", "axis", "axes", "input", "weights")
    if what == "mode":
        options["mode"] = r.one("REFLECT", None, 3, ["reflect"] * 4)
    elif what == "cval":
        options["cval"] = r.one("a", None, 1j, [1.0])
        options.pop("output", None)  # where that is of foreign byte order SciPy loses the exception
    elif what == "output":
        shape = np.shape(args[0])
        options["output"] = r.one("f2", np.float16, "O", np.zeros((*shape, 1)), np.zeros(shape, "f2"), bool, "?")
    elif what == "origin":
        options["origin"] = r.one(100, -100, 1.0, None, "a", [0] * 5)
    elif what == "axis":
        options["axis"] = r.one(7, -7, 1.0, None)
    elif what == "axes":
        options["axes"] = r.one(7, (0, 0), (1.0,), "a", 0, -1)
    elif what == "input":
        args[0] = r.one(np.zeros(np.shape(args[0]), "f2"), args[0].tolist(), np.full(np.shape(args[0]), None), "abc")
    elif len(args) > 1:
        args[1] = r.one([], None, "a", -1, 0, np.nan, np.ones((2, 2, 2, 2)))


def _second(input: Any, axis: int, output: Any, mode: str, cval: float, factor: int = 1) -> np.ndarray:
    """A second derivative in plain NumPy, the same for both libraries."""
    values = np.gradient(np.pad(input.astype("f8"), 2), axis=axis)[(slice(2, -2),) * input.ndim] * factor
    return _put(values, output, input)


def _first(input: Any, axis: int, output: Any, mode: str, cval: float) -> np.ndarray:
    return _put(np.roll(input, 1, axis) - input.astype("f8"), output, input)


def _put(values: np.ndarray, output: Any, input: np.ndarray) -> np.ndarray:
    target = output if isinstance(output, np.ndarray) else np.empty(input.shape, output)
    target[...] = values.astype("i8").astype(target.dtype) if target.dtype.kind in "iub" else values
    return target


def same(ours: Any, theirs: Any) -> str:
    """Why two results differ; nothing if they do not."""
    if isinstance(theirs, Exception):
        if not isinstance(ours, Exception):
            return f"SciPy raises {theirs!r}, ours does not"
        return "" if isinstance(ours, type(theirs)) else f"SciPy raises {theirs!r}, ours {ours!r}"
    if isinstance(ours, Exception):
        return f"ours raises {ours!r}"
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return f"{ours.dtype} {ours.shape} instead of {theirs.dtype} {theirs.shape}"
    if ours.dtype.kind == "b":
        ours, theirs = ours.view("u1"), (theirs.view("u1") != 0).view("u1")
    if ours.dtype.kind == "O":
        return "" if (ours == theirs).all() else "other objects"
    if ours.dtype.kind == "c":
        return same(ours.real, theirs.real) or same(ours.imag, theirs.imag)
    agree = np.ascontiguousarray(ours).view(f"u{ours.itemsize}") == np.ascontiguousarray(theirs).view(
        f"u{ours.itemsize}"
    )
    if ours.dtype.kind == "f":
        agree |= np.isnan(ours) & np.isnan(theirs)
    if agree.all():
        return ""
    where = tuple(int(i) for i in np.argwhere(~agree)[0]) if ours.ndim else ()
    return f"{(~agree).sum()} of {ours.size} differ, first at {where}: {ours[where]!r} instead of {theirs[where]!r}"
