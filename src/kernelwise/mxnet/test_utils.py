"""mx.test_utils: comparing arrays, and arrays at random, for tests of one's own."""

from __future__ import annotations

import contextlib
import os
import random as python_random
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import ndarray as nd
from .context import Context, current_context
from .uncovered import lookup, table

_UNCOVERED = table(
    "mx.test_utils.",
    """
    check_numeric_gradient numeric_grad: torch.autograd.gradcheck
    check_symbolic_forward check_symbolic_backward simple_forward check_consistency: arrays, and assert_almost_equal
    check_speed: torch.utils.benchmark
    download get_mnist get_mnist_ubyte get_mnist_iterator get_mnist_pkl: gluon.data.vision.MNIST on files of your own
    get_cifar10 get_zip_data get_bz2_data download_model get_im2rec_path: files of your own, by numpy.fromfile
    rand_sparse_ndarray create_sparse_array create_sparse_array_zd: torch.sparse
    chi_square_check mean_check var_check verify_generator: scipy.stats
    compare_optimizer check_gluon_hybridize_consistency: assert_almost_equal
    """,
)
RELATIVE = {np.float16: 1e-2, np.float32: 1e-4, np.float64: 1e-5}
ABSOLUTE = {np.float16: 1e-1, np.float32: 1e-3, np.float64: 1e-20}


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)


def default_context() -> Context:
    """The context of the innermost ``with`` block, otherwise what `set_default_context` said, or cpu(0)."""
    return current_context()


def set_default_context(ctx: Context) -> None:
    """From now on arrays are made on this context."""
    Context._current.value = ctx


def default_dtype() -> type[np.generic]:
    """float32."""
    return np.float32


def list_gpus() -> range:
    """None."""
    return range(0)


def _numbers(value: Any) -> np.ndarray:
    return value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)


def same(a: Any, b: Any) -> bool:
    """Whether shapes and all numbers are equal."""
    return bool(np.array_equal(_numbers(a), _numbers(b)))


def same_array(array1: Any, array2: Any) -> bool:
    """Whether two arrays share their memory."""
    return bool(array1.data.data_ptr() == array2.data.data_ptr() and array1.shape == array2.shape)


def get_rtol(rtol: float | None = None, dtype: Any = np.float64) -> float:
    """The relative tolerance of a dtype, if none is given."""
    return RELATIVE.get(np.dtype(dtype).type, 0) if rtol is None else rtol


def get_atol(atol: float | None = None, dtype: Any = np.float64) -> float:
    """The absolute tolerance of a dtype, if none is given."""
    return ABSOLUTE.get(np.dtype(dtype).type, 0) if atol is None else atol


def almost_equal(
    a: Any, b: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = False,
    use_broadcast: bool = True,
) -> bool:  # fmt: skip
    """Whether |a - b| <= atol + rtol * |b| everywhere; tolerances are those of float64 if not given."""
    left, right = _numbers(a), _numbers(b)
    if not use_broadcast:
        _check_shapes(left, right)
    return bool(np.allclose(left, right, get_rtol(rtol), get_atol(atol), equal_nan=equal_nan))


def assert_almost_equal(
    a: Any, b: Any, rtol: Any = None, atol: Any = None, names: tuple[str, str] = ("a", "b"), equal_nan: bool = False,
    use_broadcast: bool = True, mismatches: tuple[int, int] = (10, 10),
) -> None:  # fmt: skip
    """Raises AssertionError, which says where and by how much, unless |a - b| <= atol + rtol * |b| everywhere.

    rtol, atol : numbers, or numbers by dtype; those of the coarser dtype of the two if not given.
    """
    left, right = _numbers(a), _numbers(b)
    if not use_broadcast:
        _check_shapes(left, right)
    relative = max(_tolerance(one, rtol, RELATIVE) for one in (left, right))
    absolute = max(_tolerance(one, atol, ABSOLUTE) for one in (left, right))
    if np.allclose(left, right, relative, absolute, equal_nan=equal_nan):
        return
    left, right = np.broadcast_arrays(left.astype(np.float64), right.astype(np.float64))
    with np.errstate(invalid="ignore"):
        away = np.where(left == right, 0, np.abs(left - right)) / (absolute + relative * np.abs(right) + 1e-20)
    away = np.where(np.isnan(away) & ~(equal_nan & np.isnan(left) & np.isnan(right)), np.inf, away)
    place = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(away)), away.shape))
    raise AssertionError(
        f"Error {away[place]:f} exceeds tolerance rtol={relative:e}, atol={absolute:e} "
        f"(mismatch {100 * np.mean(away > 1):f}%).\nLocation of maximum error: {place}, "
        f"{names[0]}={left[place]:.8f}, {names[1]}={right[place]:.8f}\n {names[0]}: {left}\n {names[1]}: {right}"
    )


def assert_allclose(a: Any, b: Any, rtol: float = 1e-07, atol: float = 0, equal_nan: bool = True) -> None:
    """`assert_almost_equal` with NumPy's tolerances."""
    assert_almost_equal(a, b, rtol, atol, equal_nan=equal_nan)


def assert_exception(f: Any, exception_type: type[BaseException], *args: Any, **kwargs: Any) -> None:
    """Raises AssertionError unless the call raises an exception of this type."""
    try:
        f(*args, **kwargs)
    except exception_type:
        return
    raise AssertionError(f"did not raise {exception_type.__name__}")


def _check_shapes(a: np.ndarray, b: np.ndarray) -> None:
    if a.shape != b.shape:
        raise AssertionError(f"a.shape = {a.shape} and b.shape = {b.shape} are not equal")


def _tolerance(array: np.ndarray, given: Any, usual: dict[Any, float]) -> float:
    if given is not None and not isinstance(given, dict):
        return float(given)
    by_dtype = {np.dtype(kind): value for kind, value in {**usual, **(given or {})}.items()}
    return float(by_dtype.get(array.dtype, 0))


# ---------------------------------------------------------------- at random, by NumPy's generator and Python's


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """float32 NumPy arrays of normal numbers: one, or a list for several shapes."""
    made = [np.asarray(np.random.randn(*shape), dtype=np.float32) for shape in shapes]  # noqa: NPY002 (follows np.random.seed)
    return made if len(made) > 1 else made[0]


def random_sample(population: Any, k: int) -> list[Any]:
    """So many of them, in their order."""
    chosen = sorted(python_random.sample(range(len(population)), k))
    return [population[i] for i in chosen]


def rand_ndarray(shape: tuple[int, ...], stype: str = "default", density: Any = None, dtype: Any = None) -> Any:
    """An array of normal numbers."""
    if stype != "default":
        raise NotImplementedError(f"rand_ndarray(stype={stype!r}): arrays are dense here; PyTorch has torch.sparse")
    return nd.array(random_arrays(shape), dtype=np.float32 if dtype is None else dtype)


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Sizes from 1 to ``dim``, or from 0."""
    return tuple(int(n) for n in np.random.randint(0 if allow_zero_size else 1, dim + 1, size=num_dim))  # noqa: NPY002


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Two sizes, up to the ones given."""
    return tuple(rand_shape_nd(1, dim, allow_zero_size)[0] for dim in (dim0, dim1))


def rand_shape_3d(dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Three sizes, up to the ones given."""
    return tuple(rand_shape_nd(1, dim, allow_zero_size)[0] for dim in (dim0, dim1, dim2))


@contextlib.contextmanager
def environment(*args: Any) -> Iterator[None]:
    """A block with variables of the environment: a name and a value, or a dict; None takes one away."""
    wanted = args[0] if len(args) == 1 else {args[0]: args[1]}
    before = {name: os.environ.get(name) for name in wanted}
    try:
        _set(wanted)
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = str(value)
