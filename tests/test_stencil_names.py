"""The stencils by name: lookup, descriptions, errors, and what the room needs."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest

from kernelwise import stencils
from kernelwise.errors import ArgumentError, ArgumentTypeError


def test_every_name_is_described_and_gives_its_kernel_again():
    names = stencils.names()
    assert len(set(names)) == len(names) and len(names) > 60
    for name in names:
        stencil = stencils.describe(name)
        assert stencil.name == name == name.lower() and "_" not in name
        assert stencil.kernel is stencils.get(name), "asked for again, it is the same array"
        assert stencil.kernel.ndim == 2 and stencil.kernel.any() and np.isfinite(stencil.kernel).all()
        assert stencil.summary.endswith(".") and len(stencil.summary.split()) > 2
        assert re.search(r"\b(19|20)\d\d\b|^By definition: |^GIMP user manual|^A. Zhang", stencil.source), (
            stencil.source
        )


def test_kernels_are_int64_where_whole_and_float64_elsewhere():
    for name in stencils.names():
        kernel = stencils.get(name)
        whole = bool((kernel == np.round(kernel)).all())
        assert kernel.dtype == (np.int64 if whole else np.float64), name


def test_nobody_can_write_into_a_constant_or_a_named_kernel_but_into_what_a_function_returns():
    constants = [getattr(stencils, name) for name in stencils.__all__ if name.isupper() and name != "COMPASS"]
    for kernel in [*constants, *map(stencils.get, stencils.names())]:
        assert not kernel.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            kernel.flags.writeable = True
    for kernel in (stencils.gaussian(1), stencils.box(3), stencils.sobel(5), stencils.disk(2), stencils.motion(4)):
        kernel[...] = 0


def test_names_with_numbers_mean_their_functions():
    same = {
        "gaussian:1.5": stencils.gaussian(1.5),
        "gaussian:sigma=1.5,size=5": stencils.gaussian(1.5, size=5),
        "gaussian:2,truncate=3": stencils.gaussian(2, truncate=3),
        "gabor:8,theta=0.5": stencils.gabor(8, 0.5),
        "gabor:theta=5e-1,wavelength=8": stencils.gabor(8, 0.5),
        "log:1.4": stencils.log(1.4),
        "dog:1.4,ratio=2": stencils.dog(1.4, 2),
        "disk:3": stencils.disk(3),
        "motion:9,angle=-0.5": stencils.motion(9, -0.5),
        "box-4": stencils.box(4),
    }
    for name, kernel in same.items():
        np.testing.assert_array_equal(stencils.get(name), kernel)


def test_a_forgotten_kernel_is_built_again_with_the_same_weights():
    before = stencils.get("gaussian:1.25")
    stencils.clear_cache()
    after = stencils.get("gaussian:1.25")
    assert after is not before
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("sobelx", "sobel-x"),
        ("Sobel_X", "sobel-x"),
        ("SCHARR-Y", "scharr-y"),
        ("laplace-9", "laplace-8"),
        ("gaussian", "gaussian:1.5"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest_ones_and_what_was_given(name, closest):
    with pytest.raises(ArgumentError) as caught:
        stencils.get(name)
    message = str(caught.value)
    assert message.startswith("`name` must be ") and repr(closest) in message and f"(got {name!r})" in message


BAD_NAMES = """
    gaussian: gaussian:-1 gaussian:nan gaussian:1e999 gaussian:1_0 gaussian:1.5, gaussian:1,2 gaussian:1,sigma=2
    gaussian:1,size=4 gaussian:1,size=5,truncate=3 gaussian:1,width=3 gaussian:200 gaussian-4 gaussian-0 gaussian-x:0
    box--1 box-1.5 box- box:3 box-99999 gabor:theta=0.5 gabor:1 gabor:8,gamma=0 disk:0 disk:1e9 motion:0.5 log:0
    dog:1,ratio=1 sobel-x-4 sobel-x-33 sobel-z
""".split()


@pytest.mark.parametrize(
    "name", [*BAD_NAMES, "", " sobel-x", "deck\n", "\u0663", "box-\u0663", "box-" + "9" * 5000, "disk:" + "9" * 5000]
)
def test_a_bad_name_or_number_is_one_clear_error(name):
    with pytest.raises(ArgumentError, match="`name` must ") as caught:
        stencils.get(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", [None, 3, b"sobel-x", ["sobel-x"], np.eye(2)])
def test_a_name_that_is_no_string_is_an_error_of_type(name):
    with pytest.raises(ArgumentTypeError, match="`name` must be the name of a stencil"):
        stencils.describe(name)


def test_the_error_can_speak_of_the_callers_argument():
    with pytest.raises(ArgumentError, match="^`k` must be one of .*'nosuch'"):
        stencils.get("nosuch", argument="k")
    with pytest.raises(ArgumentTypeError, match="^`k` must "):
        stencils.get(5, argument="k")


@pytest.mark.parametrize(
    ("call", "argument", "kind"),
    [
        (lambda: stencils.gaussian("1"), "sigma", ArgumentTypeError),
        (lambda: stencils.gaussian(True), "sigma", ArgumentTypeError),
        (lambda: stencils.gaussian(1j), "sigma", ArgumentTypeError),
        (lambda: stencils.gaussian(np.nan), "sigma", ArgumentError),
        (lambda: stencils.gaussian(10**400), "sigma", ArgumentError),
        (lambda: stencils.gaussian((1, 2, 3)), "sigma", ArgumentError),
        (lambda: stencils.gaussian(1e300), "sigma", ArgumentError),
        (lambda: stencils.gaussian(1e-200, size=9, derivative=3), "sigma", ArgumentError),
        (lambda: stencils.gaussian(1, size=2), "size", ArgumentError),
        (lambda: stencils.gaussian(1, size=5.0), "size", ArgumentTypeError),
        (lambda: stencils.gaussian(1, size=99999), "size", ArgumentError),
        (lambda: stencils.gaussian(1, size=5, truncate=2), "truncate", ArgumentError),
        (lambda: stencils.gaussian(1, truncate=0), "truncate", ArgumentError),
        (lambda: stencils.gaussian(1, derivative=-1), "derivative", ArgumentError),
        (lambda: stencils.gaussian(1, size=3, derivative=3), "derivative", ArgumentError),
        (lambda: stencils.gaussian(0, derivative=1), "derivative", ArgumentError),
        (lambda: stencils.gaussian(1, ndim=0), "ndim", ArgumentError),
        (lambda: stencils.box(0), "size", ArgumentError),
        (lambda: stencils.box((3, 3, 3)), "size", ArgumentError),
        (lambda: stencils.box(2, ndim=30), "size", ArgumentError),
        (lambda: stencils.binomial(1024), "size", ArgumentError),
        (lambda: stencils.delta(2), "size", ArgumentError),
        (lambda: stencils.sobel(4), "size", ArgumentError),
        (lambda: stencils.sobel(1), "size", ArgumentError),
        (lambda: stencils.sobel(3, axis=2), "axis", ArgumentError),
        (lambda: stencils.sobel(3, ndim=32), "ndim", ArgumentError),
        (lambda: stencils.log(0), "sigma", ArgumentError),
        (lambda: stencils.log(1e-3), "sigma", ArgumentError),
        (lambda: stencils.log(1e-3, size=5), "sigma", ArgumentError),
        (lambda: stencils.log(1, size=1), "size", ArgumentError),
        (lambda: stencils.dog(1, ratio=0.5), "ratio", ArgumentError),
        (lambda: stencils.dog(1e-3), "sigma", ArgumentError),
        (lambda: stencils.gabor(1.9), "wavelength", ArgumentError),
        (lambda: stencils.gabor(8, gamma=-1), "gamma", ArgumentError),
        (lambda: stencils.gabor(8, gamma=1e-320), "sigma / gamma", ArgumentError),
        (lambda: stencils.gabor(8, theta=None), "theta", ArgumentTypeError),
        (lambda: stencils.gabor(8, size=(5, 4)), "size", ArgumentError),
        (lambda: stencils.disk(-1), "radius", ArgumentError),
        (lambda: stencils.disk(1e300), "radius", ArgumentError),
        (lambda: stencils.disk(3, antialiased="no"), "antialiased", ArgumentTypeError),
        (lambda: stencils.motion(0), "length", ArgumentError),
        (lambda: stencils.motion(1e300), "length", ArgumentError),
        (lambda: stencils.motion(1e300, 1.0), "length", ArgumentError),
        (lambda: stencils.motion(5, np.inf), "angle", ArgumentError),
        (lambda: stencils.sigma_of_size(4), "size", ArgumentError),
    ],
)
def test_a_bad_parameter_is_an_error_that_names_it(call, argument, kind):
    with pytest.raises(kind, match=r"\(got ") as caught:
        call()
    assert f"`{argument}`" in str(caught.value)


# ---------------------------------------------------------------- the room itself


def test_the_examples_in_the_docstrings_are_true():
    modules = [
        stencils,
        *(importlib.import_module(m.name) for m in pkgutil.iter_modules(stencils.__path__, "kernelwise.stencils.")),
    ]
    results = [doctest.testmod(module) for module in modules]
    assert sum(r.attempted for r in results) >= 12 and not any(r.failed for r in results)


def test_stencils_need_numpy_and_nothing_of_the_engine():
    code = (
        "import sys, types, importlib.util as u, pathlib\n"
        "root = types.ModuleType('kernelwise'); root.__path__ = [sys.argv[1]]; sys.modules['kernelwise'] = root\n"
        "import kernelwise.stencils\n"
        "mine = sorted(m for m in sys.modules if m.startswith('kernelwise.') and 'stencils' not in m)\n"
        "assert mine == ['kernelwise.errors'], mine\n"
        "assert not {'scipy', 'llvmlite', 'cv2', 'torch', 'matplotlib'} & set(sys.modules)\n"
    )
    root = stencils.__path__[0].rpartition("stencils")[0]
    subprocess.run([sys.executable, "-c", code, root], check=True, timeout=60)
