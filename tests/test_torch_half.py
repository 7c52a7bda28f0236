"""Tensors of float16: the results and gradients of float32, rounded once."""

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import kernelwise.torch as kt  # noqa: E402
from kernelwise.torch import plain  # noqa: E402

CASES = [  # images, weights, options: pixels in the lanes, channels in the lanes, Winograd's algorithm, one axis
    ((2, 3, 9, 20), (4, 3, 3, 3), {"padding": 1}),
    ((3, 8, 10, 9), (24, 4, 3, 3), {"stride": 2, "groups": 2}),
    ((2, 48, 20, 20), (48, 48, 3, 3), {"padding": "same"}),
    ((2, 5, 30), (20, 5, 4), {"dilation": 2}),
]
FORWARD: dict[int, Any] = {3: kt.conv1d, 4: kt.conv2d}
BACK: dict[int, Any] = {3: kt.conv_transpose1d, 4: kt.conv_transpose2d}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(5)


def halves(*shapes: tuple[int, ...]) -> list[Any]:
    return [torch.randn(shape).half() for shape in shapes]


def wide(tensors: list[Any]) -> list[Any]:
    return [tensor.detach().float().requires_grad_(tensor.requires_grad) for tensor in tensors]


@pytest.mark.parametrize(("x", "w", "options"), CASES)
def test_results_and_gradients_are_those_of_float32_rounded_once(x: Any, w: Any, options: Any) -> None:
    given = [tensor.requires_grad_() for tensor in halves(x, w, w[:1])]
    exact = wide(given)
    y, wanted = FORWARD[len(x)](*given, **options), FORWARD[len(x)](*exact, **options)
    assert y.dtype is torch.float16 and torch.equal(y, wanted.half())
    dy = torch.randn(y.shape).half()
    found = torch.autograd.grad(y, given, dy)
    for gradient, right in zip(found, torch.autograd.grad(wanted, exact, dy.float()), strict=True):
        assert gradient.dtype is torch.float16
        assert torch.equal(gradient, right.half()) or gradient.ndim == 1, "a bias' gradient is torch's own sum"
    with torch.no_grad():
        assert torch.equal(FORWARD[len(x)](*given, **options), wanted.half())


@pytest.mark.parametrize("bias", [False, True])
def test_transposed_layers_too(bias: bool) -> None:
    for x, w, options in ((3, 6, 7, 8), (6, 4, 3, 3), {"stride": 2}), ((2, 5, 30), (5, 3, 4), {}):
        given = halves(x, w, w[1:2])[: 2 + bias]
        y = BACK[len(x)](*given, **options)
        assert y.dtype is torch.float16 and torch.equal(y, BACK[len(x)](*wide(given), **options).half())


def test_images_are_converted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same bits, whatever the layout; and one image never waits for a larger conversion."""
    x, w = halves((5, 8, 12, 12), (24, 8, 3, 3))
    for images in (x, x.contiguous(memory_format=torch.channels_last)):
        whole = kt.conv2d(images, w)
        seen: list[int] = []
        inner: Callable[..., Any] = plain.convolution

        def count(part: Any, *rest: Any) -> Any:
            seen.append(part.shape[0])  # noqa: B023
            return inner(part, *rest)  # noqa: B023

        with monkeypatch.context() as patch:
            patch.setattr(plain, "PART_BYTES", 4 * 2 * (x[0].numel() + whole[0].numel()))
            patch.setattr(plain, "convolution", count)
            assert torch.equal(kt.conv2d(images, w), whole)
        assert seen == [5, 2, 2, 1] and whole.is_contiguous(memory_format=torch.channels_last) is (images is not x)


def test_layers_and_compiled_graphs_take_them() -> None:
    layer = kt.Conv2d(4, 20, 3, padding=1, padding_mode="reflect").half()
    x = halves((2, 4, 9, 11))[0]
    y = layer(x)
    wide_layer = kt.Conv2d(4, 20, 3, padding=1, padding_mode="reflect")
    wide_layer.load_state_dict(layer.state_dict())
    assert y.dtype is torch.float16 and torch.equal(y, wide_layer(x.float()).half())
    assert torch.equal(torch.compile(layer, backend="eager", fullgraph=True)(x), y)
    assert kt.explain(layer, x).ours
