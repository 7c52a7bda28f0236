"""Arguments drawn at random, right and wrong ones: each of the six functions does with them what PyTorch's does."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as own

import kernelwise.torch as kt

SIZES = (5, 6, 4)


def draw(rng: np.random.Generator, axes: int, transposed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Tensors and arguments, of which about every second call has one that is wrong."""
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, outputs = 2 * groups, groups * int(rng.integers(1, 3))
    taps = tuple(int(n) for n in rng.integers(1, 4, axes))
    first, second = (channels, outputs // groups) if transposed else (outputs, channels // groups)
    image = (int(rng.integers(1, 3)), channels, *SIZES[:axes])[int(rng.random() < 0.2) :]
    shapes = {"input": image, "weight": (first, second, *taps), "bias": (outputs,)}
    arguments: dict[str, Any] = {"groups": groups}
    for name, values in {
        "stride": (1, 2, 3),
        "padding": (0, 1, 2),
        "dilation": (1, 2),
        **({"output_padding": (0, 0, 1)} if transposed else {}),
    }.items():
        each = tuple(int(n) for n in rng.choice(values, axes))
        arguments[name] = each if rng.random() < 0.4 else each[:1] if rng.random() < 0.2 else list(each)[0]
    if not transposed and rng.random() < 0.3:
        arguments["padding"] = str(rng.choice(["same", "valid"]))
    dtypes = dict.fromkeys(shapes, torch.float64)
    if rng.random() < 0.5:
        spoil(rng, shapes, arguments, dtypes)
    tensors = [torch.tensor(rng.integers(-4, 5, shape)).to(dtypes[name]) for name, shape in shapes.items()]
    return tuple(tensors[: 2 + int(rng.random() < 0.5)]), arguments


def spoil(
    rng: np.random.Generator,
    shapes: dict[str, tuple[int, ...]],
    arguments: dict[str, Any],
    dtypes: dict[str, torch.dtype],
) -> None:
    """Make one thing wrong, or at least unusual."""
    what = rng.choice(["shape", "axes", "dtype", "value", "kind", "length"])
    tensor, name = str(rng.choice(list(shapes))), str(rng.choice(list(arguments)))
    if what == "shape":
        shape = list(shapes[tensor])
        at = int(rng.integers(len(shape)))
        shape[at] = max(0, shape[at] + int(rng.choice([-1, 1, 5])))
        shapes[tensor] = tuple(shape)
    elif what == "axes":
        shapes[tensor] = shapes[tensor][1:] if rng.random() < 0.5 else (1, *shapes[tensor])
    elif what == "dtype":
        dtypes[tensor] = [torch.float32, torch.int64, torch.complex64][rng.integers(3)]
    elif what == "value":
        arguments[name] = int(rng.choice([-1, 0, 4, 7]))
    elif what == "kind":
        arguments[name] = [1.0, 2.5, None, True, "valid", "full", (1, 1.0)][rng.integers(7)]
    else:
        arguments[name] = (1,) * int(rng.integers(0, 5))


def outcome(function: Callable[..., Tensor], args: tuple[Any, ...], arguments: dict[str, Any]) -> Any:
    try:
        return function(*args, **arguments)
    except Exception as error:
        return type(error), str(error).partition("\n")[0]


@pytest.mark.parametrize("calls", [20, pytest.param(400, marks=pytest.mark.long)])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
def test_right_and_wrong_arguments_have_torchs_results_and_errors(
    kind: str, axes: int, calls: int, rng: np.random.Generator
) -> None:
    ours, theirs = (getattr(module, f"{kind}{axes}d") for module in (kt, own))
    results = refused = 0
    for _ in range(calls):
        args, arguments = draw(rng, axes, kind == "conv_transpose")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of torch, about its own ways
            right = outcome(theirs, args, arguments)
            found = outcome(ours, args, arguments)
        shown = [(tuple(tensor.shape), tensor.dtype) for tensor in args], arguments, right
        if isinstance(right, Tensor):
            assert isinstance(found, Tensor), (found, *shown)
            assert found.dtype is right.dtype and torch.equal(found, right), shown
            results += 1
            continue
        assert isinstance(found, tuple), shown
        assert found[0] is right[0], (found, *shown)
        if right[0] is not TypeError:  # those of torch's own argument parser name its own signatures
            assert found[1] == right[1], shown
        refused += 1
    assert results > calls // 4 and refused > calls // 8
