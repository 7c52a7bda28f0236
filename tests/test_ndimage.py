"""kernelwise.ndimage gives what scipy.ndimage gives, to the last bit, errors included."""

import inspect
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from kernelwise import ndimage, set_threads
from kernelwise.algorithms import running
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support import guarded_door
from support.scipy_calls import FUNCTIONS, random_call, same

QUICK, PARTS = 1500, 6
LONG = 10_000
FOLDER = Path(__file__).parent
IMAGE = np.random.default_rng(3).standard_normal((130, 1500)) * 50


def compare(numbers: range) -> tuple[int, int]:
    """(how many calls SciPy took, how many it refused)"""
    taken = refused = 0
    for number in numbers:
        call = random_call(number)
        theirs = call.run(scipy.ndimage)
        difference = same(call.run(ndimage), theirs)
        assert not difference, f"call {number}, {call}: {difference}"
        refused += isinstance(theirs, Exception)
        taken += not isinstance(theirs, Exception)
    return taken, refused


@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls_give_the_same_bits_or_the_same_kind_of_error(
    part: int, report_figure: Callable[[str, str], None]
) -> None:
    taken, refused = compare(range(part, QUICK, PARTS))
    assert taken > 150 and refused > 10
    report_figure(f"ndimage beside SciPy, part {part + 1} of {PARTS}", f"{taken} results, {refused} errors, all alike")


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_many_random_calls_give_the_same_bits_or_the_same_kind_of_error(
    part: int, report_figure: Callable[[str, str], None]
) -> None:
    taken, refused = compare(range(QUICK + part, LONG, 10))
    report_figure(f"ndimage beside SciPy, long, part {part + 1} of 10", f"{taken} results, {refused} errors, all alike")


@pytest.mark.parametrize("target", list(available()[1:]))
def test_other_instruction_sets_give_the_same_bits(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    compare(range(150))


CALLS: dict[str, Callable] = {
    "correlate": lambda library, x: library.correlate(x, np.arange(12.0).reshape(3, 4) - 5.5),
    "large correlate": lambda library, x: library.correlate(x, np.sin(np.arange(15.0 * 17)).reshape(15, 17)),
    "convolve": lambda library, x: library.convolve(x, [[1, 2, 1], [0, 0, 0], [-1, -2, -1]], mode="constant", cval=3),
    "correlate1d down": lambda library, x: library.correlate1d(x, np.sin(np.arange(40.0)), 0),
    "convolve1d across": lambda library, x: library.convolve1d(x, [1, -3, 2], 1, mode="wrap"),
    "gaussian_filter": lambda library, x: library.gaussian_filter(x, 1.2),
    "wide gaussian_filter": lambda library, x: library.gaussian_filter(x, (9, 5), mode="nearest"),
    "gaussian_filter1d": lambda library, x: library.gaussian_filter1d(x, 2, 1, order=1),
    "uniform_filter": lambda library, x: library.uniform_filter(x, (5, 8)),
    "uniform_filter1d down": lambda library, x: library.uniform_filter1d(x, 31, 0, mode="mirror"),
    "uniform_filter1d across": lambda library, x: library.uniform_filter1d(x, 7, 1, mode="constant", cval=2),
    "sobel down": lambda library, x: library.sobel(x, 0),
    "sobel across": lambda library, x: library.sobel(x, 1),
    "prewitt": lambda library, x: library.prewitt(x),
    "laplace": lambda library, x: library.laplace(x),
    "gaussian_laplace": lambda library, x: library.gaussian_laplace(x, 1.5),
    "gaussian_gradient_magnitude": lambda library, x: library.gaussian_gradient_magnitude(x, 1.5),
    "generic_laplace": lambda library, x: library.generic_laplace(x, library.prewitt),
    "generic_gradient_magnitude": lambda library, x: library.generic_gradient_magnitude(x, library.sobel),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in sqrt")  # of squares that wrapped around
@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8"])
@pytest.mark.parametrize("name", CALLS)
def test_whole_images_give_the_same_bits(name: str, dtype: str) -> None:
    """Wide enough for every part of the walk, and of the running sums; results of other dtypes too."""
    with np.errstate(all="ignore"):
        x = IMAGE.astype(dtype)
    assert not same(CALLS[name](ndimage, x), CALLS[name](scipy.ndimage, x))
    volume = np.ascontiguousarray(x[:24, :1400]).reshape(24, 28, 50)
    if not name.startswith(("large", "correlate", "convolve", "wide", "uniform_filter")) or "1d" in name:
        assert not same(CALLS[name](ndimage, volume), CALLS[name](scipy.ndimage, volume))


@pytest.mark.parametrize("name", CALLS)
def test_any_number_of_threads_gives_the_same_bits(name: str) -> None:
    results = []
    for threads in (1, 2, 7):
        set_threads(threads)
        try:
            results.append(CALLS[name](ndimage, np.tile(IMAGE, (2, 1))))
        finally:
            set_threads(None)
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_those_of_scipy(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(library, name)).parameters for library in (ndimage, scipy.ndimage))
    for parameter in theirs.values():
        mine = ours[parameter.name]
        assert (mine.default, mine.kind) == (parameter.default, parameter.kind)
    assert list(ours) == list(theirs)


@pytest.mark.parametrize("name", CALLS)
def test_broadcast_views_are_filtered_as_if_they_were_copied(name: str) -> None:
    """SciPy's correlate and convolve are wrong there: each pixel of such a view lies at the same place in memory."""
    for view in (np.broadcast_to(2.0, (9, 12)), np.broadcast_to(IMAGE[0, :12], (9, 12))):
        assert not same(CALLS[name](ndimage, view), CALLS[name](scipy.ndimage, view.copy()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_that_overlaps_the_image_is_what_it_would_be_elsewhere(name: str) -> None:
    more = {
        "correlate": [np.arange(6.0).reshape(2, 3)], "convolve": [np.arange(6.0).reshape(2, 3)],
        "correlate1d": [[1, 2, 4]], "convolve1d": [[1, 2, 4]], "gaussian_filter": [1], "gaussian_filter1d": [1],
        "uniform_filter": [3], "uniform_filter1d": [3], "gaussian_laplace": [1], "gaussian_gradient_magnitude": [1],
        "generic_laplace": [ndimage.prewitt], "generic_gradient_magnitude": [ndimage.sobel],
    }.get(name, [])  # fmt: skip
    for dtype in ("f8", "u1", "c16"):
        line = (np.arange(600) * 7 % 31).astype(dtype)
        for first in (0, 1, 40):  # the very array, one pixel further, two rows further
            memory = line.copy()
            x, out = memory[:400].reshape(20, 20), memory[first : 400 + first].reshape(20, 20)
            wanted = getattr(ndimage, name)(x.copy(), *more)
            found = getattr(ndimage, name)(x, *more, output=out)
            assert found is out or found.base is memory
            assert np.array_equal(out, wanted), (dtype, first)


def test_the_image_is_never_written_to() -> None:
    x = IMAGE[:40, :60].copy()
    before = x.copy()
    x.flags.writeable = False
    for call in CALLS.values():
        call(ndimage, x)
    assert np.array_equal(x, before)


def test_kernels_that_reach_far_beyond_the_image_give_the_same_bits() -> None:
    x = IMAGE[:5, :7]
    for options in ({"sigma": 400}, {"sigma": 1, "radius": 40_000}, {"sigma": 300, "mode": "wrap"}):
        assert not same(ndimage.gaussian_filter(x, **options), scipy.ndimage.gaussian_filter(x, **options))
    assert not same(ndimage.uniform_filter(x, 3001), scipy.ndimage.uniform_filter(x, 3001))


def test_bool_results_hold_true_and_false_only() -> None:
    """SciPy leaves other bytes than 0 and 1 in them."""
    found = ndimage.sobel(IMAGE[:20, :30] > 0)
    assert found.dtype == bool and set(np.unique(found.view(np.uint8))) == {0, 1}


def test_a_name_that_is_no_mode_is_named_in_the_error() -> None:
    with pytest.raises(RuntimeError, match=r"`mode` must be one of 'reflect'.*'REFLECT'"):
        ndimage.gaussian_filter(IMAGE, 1, mode="REFLECT")
    with pytest.raises(ndimage.NdimageError, match=r"`weights` must have one axis"):
        ndimage.correlate1d(IMAGE, [[1.0]])


def test_the_door_opens_without_scipy() -> None:
    code = "from kernelwise import ndimage; import sys; ndimage.sobel([[1.0, 2.0]]); assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("target", available())
def test_no_routine_leaves_its_arrays(target: str, report_figure: Callable[[str, str], None]) -> None:
    """Between forbidden pages; in a process of its own, whose last line names the call at which it died."""
    command = [sys.executable, "-m", "support.guarded_door", target, "0", "100"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=600)
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {last}"
    assert done.returncode == 0, f"in {last}:\n{done.stderr}"
    report_figure(f"the door between forbidden pages, {target}", f"{last.removeprefix('done ')} calls")


def test_the_code_for_another_machine_is_valid() -> None:
    """NEON assembly is written and verified; it cannot be run here."""
    neon = named("neon")
    for name, call, _, _ in guarded_door.cases(0, 12, "neon"):
        if call is not None:
            assert "fmul" in call.plan.asm() or "mul" in call.plan.asm(), name
            assert "fmla" not in call.plan.asm(), "no product is fused with a sum"
    for image, result in (("f4", "f4"), ("u1", "u8"), ("u8", "i2")):
        spec = running.Running(Number(image), Number(result), False, False)
        assert "fdiv" in assembly(running.emit(spec, neon).text, neon)
