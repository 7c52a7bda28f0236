"""kernelwise.ndimage beside scipy.ndimage: the same call with the same arguments, one image of 1080 x 1920.

The functions write to a given output where they take one. Ours must agree with SciPy's result: integers to the last
bit, floats within a rounding error of the largest value for every pass over the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .comparison import Comparison, Prepared, Rival, within

SECTION = "ndimage"
SHAPE = (1080, 1920)
TYPES = ("u8", "f32", "f64")
DIFFERENCES = (
    "sobel",
    "prewitt",
    "laplace",
    "gaussian_laplace",
    "gaussian_gradient_magnitude",
    "generic_laplace",
    "generic_gradient_magnitude",
)
DTYPES: dict[str, np.dtype] = {"u8": np.dtype(np.uint8), "f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
EPSILON = {"f32": 2.0**-23, "f64": 2.0**-52}
ROUNDINGS = 64.0  # float results may differ by this many units in the last place of the largest value

SMOOTH = np.array([1, 4, 6, 4, 1]) / 16.0
DENSE = np.random.default_rng(55).uniform(0.1, 1.0, (5, 5))
DENSE /= DENSE.sum()  # so that u8 results stay within 0 to 255


def _second_difference(x: Any, axis: int, output: Any, mode: str, cval: float, library: Any) -> Any:
    return library.correlate1d(x, [1, -2, 1], axis, output, mode, cval)


def _first_difference(x: Any, axis: int, output: Any, mode: str, cval: float, library: Any) -> Any:
    return library.correlate1d(x, [-1, 0, 1], axis, output, mode, cval)


# function -> its arguments behind the image; LIBRARY stands for the module that is called
LIBRARY = object()
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "correlate": ((DENSE,), {}),
    "convolve": ((DENSE,), {}),
    "correlate1d": ((SMOOTH,), {"axis": 0}),
    "convolve1d": ((SMOOTH,), {"axis": 1}),
    "gaussian_filter": ((2.0,), {}),
    "gaussian_filter1d": ((2.0,), {"axis": 0}),
    "uniform_filter": ((5,), {}),
    "uniform_filter1d": ((5,), {"axis": 1}),
    "sobel": ((), {"axis": 1}),
    "prewitt": ((), {"axis": 1}),
    "laplace": ((), {}),
    "gaussian_laplace": ((1.5,), {}),
    "gaussian_gradient_magnitude": ((1.5,), {}),
    "generic_laplace": ((_second_difference,), {"extra_keywords": {"library": LIBRARY}}),
    "generic_gradient_magnitude": ((_first_difference,), {"extra_keywords": {"library": LIBRARY}}),
}
QUICK = {"u8->u8": ("correlate", "gaussian_filter"), "u8->f32": ("sobel",), "f64": ("correlate", "gaussian_filter")}


def rows(shape: tuple[int, int] = SHAPE, types: Sequence[str] = TYPES) -> list[Comparison]:
    """Every function of the door on every type."""
    return [_row(name, kind, shape) for kind in types for name in CALLS]


def quick() -> list[Comparison]:
    """Every function on float32, a few on the other types."""
    return [row for row in rows() if row.types == "f32" or row.what in QUICK.get(row.types, ())]


def _row(name: str, kind: str, shape: tuple[int, int]) -> Comparison:
    # What differences of u8 give does not fit into u8; everything else stays in the type of the image.
    result = "f32" if kind == "u8" and name in DIFFERENCES else kind
    types = f"{kind}->{result}" if kind == "u8" else kind

    def prepare(threads: int) -> Prepared:
        from scipy import ndimage as theirs

        from kernelwise import ndimage as mine

        rng = np.random.default_rng(7)
        x = rng.integers(0, 256, shape, np.uint8) if kind == "u8" else rng.random(shape).astype(DTYPES[kind])
        out = np.empty(shape, DTYPES[result])
        largest = 255.0 if kind == "u8" else 1.0
        # ndimage cuts what is behind the point: a sum that is whole but for rounding may come out one level lower.
        allowed = 1.0 if result == "u8" else ROUNDINGS * EPSILON[result] * largest
        wanted = _call(theirs, name, x, np.empty_like(out))
        agree = within(allowed)
        return Prepared(
            lambda: _call(mine, name, x, out),
            lambda got: agree(got, wanted),
            [Rival("scipy.ndimage", "scipy", lambda: _call(theirs, name, x, out), agree, one_thread=True)],
        )

    return Comparison(SECTION, "x".join(map(str, shape)), types, name, prepare)


def _call(library: Any, name: str, x: np.ndarray, out: np.ndarray) -> np.ndarray:
    arguments, options = CALLS[name]
    given = {
        key: {k: library if v is LIBRARY else v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in options.items()
    }
    getattr(library, name)(x, *arguments, output=out, **given)
    return out
