"""What the gradient and the second derivatives refuse, and how they say it."""

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError, ArgumentTypeError, RangeError


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"operator": "canny"}, ArgumentError, "`operator` must be one of 'sobel'"),
        ({"operator": 3}, ArgumentTypeError, "`operator` must be one of"),
        ({"sigma": 2.0}, ArgumentError, "`sigma` goes with operator='gaussian' only"),
        ({"operator": "gaussian", "sigma": -1}, ArgumentError, "`sigma`"),
        ({"operator": "gaussian", "sigma": 0.05}, ArgumentError, "`sigma` must be larger"),
        ({"wanted": "gz"}, ArgumentError, "`wanted` must be one or several of 'gy', 'gx'"),
        ({"wanted": ()}, ArgumentError, "`wanted` must be"),
        ({"wanted": 3}, ArgumentTypeError, "`wanted` must be a name or several"),
        ({"wanted": "mask"}, ArgumentError, "`above` goes with a mask"),
        ({"wanted": "gx", "above": 3}, ArgumentError, "`above` goes with a mask"),
        ({"above": "3"}, ArgumentTypeError, "`above` must be a number"),
        ({"above": float("nan")}, ArgumentError, "`above` must be a number"),
        ({"norm": "l3"}, ArgumentError, "`norm` must be one of 'l2', 'l1'"),
        ({"axes": (1, 0)}, ArgumentError, "`axes` must name different axes of `x` in ascending order"),
        ({"axes": (0, 5)}, ArgumentError, "`axes`"),
        ({"axes": ()}, ArgumentError, "`axes`"),
        ({"border": "mirror"}, ArgumentError, "`border` must be one of"),
        ({"fill": 3}, ArgumentError, "`fill` goes with border='constant'"),
        ({"dtype": "c8"}, ArgumentTypeError, "`dtype` must be real"),
        ({"threads": 0}, ArgumentError, "`threads`"),
        ({"out": 3}, ArgumentTypeError, "`out` must be"),
        ({"out": {"gx": np.zeros((4, 5))}}, ArgumentError, "`out` must hold"),
        ({"wanted": "gx", "out": np.zeros((4, 6), "f4")}, ArgumentError, r"`out` must have the shape \(4, 5\)"),
        ({"wanted": "gx", "out": np.zeros((4, 5))}, ArgumentTypeError, "`out` must hold float32"),
    ],
)
def test_what_is_refused_and_how(options: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        kw.edges.gradient(np.zeros((4, 5), "f4"), **options)


def test_images_that_are_refused() -> None:
    with pytest.raises(ArgumentTypeError, match="`x` must be real"):
        kw.edges.gradient(np.zeros((4, 5), "c8"))
    with pytest.raises(ArgumentError, match="`axes` must be given"):
        kw.edges.gradient(np.zeros((2, 2, 4, 5)))
    with pytest.raises(RangeError, match="64 bits"):
        kw.edges.gradient(np.full((4, 5), 2**62))
    assert kw.edges.gradient(np.full((4, 5), 2**40), above=1).gx.dtype == np.int64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: kw.edges.laplace(x, diagonals=2), ArgumentTypeError, "`diagonals` must be True or False"),
        (lambda x: kw.edges.laplace(x, axes=(1, 1)), ArgumentError, "`axes` must name different axes"),
        (lambda x: kw.edges.log(x, 0), ArgumentError, "`sigma`"),
        (lambda x: kw.edges.zero_crossings(x, jump=-1), ArgumentError, "`jump`"),
        (lambda x: kw.edges.zero_crossings(x + 1j), ArgumentTypeError, "`y` must be real"),
        (lambda x: kw.edges.zero_crossings(x, out=np.zeros(x.shape)), ArgumentTypeError, "`out` must hold bool"),
        (lambda x: kw.edges.zero_crossings(x[None, None]), ArgumentError, "`axes` must be given unless `y`"),
    ],
)
def test_second_derivatives_too(call, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        call(np.zeros((4, 5), "f4"))


def test_no_module_hides_the_function_of_its_name() -> None:
    """Importing a module of a package binds its name there, over a function that is called the same."""
    import importlib
    import pkgutil

    for module in pkgutil.iter_modules(kw.edges.__path__):
        importlib.import_module(f"kernelwise.edges.{module.name}")
    assert callable(kw.edges.gradient) and callable(kw.edges.laplace) and callable(kw.edges.log)
