"""kernelwise.torch's layers in place of torch.nn's."""

import copy
import io
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import kernelwise.torch as kt

NAMES = [f"Conv{n}d" for n in (1, 2, 3)] + [f"ConvTranspose{n}d" for n in (1, 2, 3)]
SIZES = (9, 8, 7)


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Whole numbers stay whole: Winograd's algorithm, which "fast" allows, would round."""
    usual = kt.engine.PRECISION
    kt.set_precision("exact")
    yield
    kt.set_precision(usual)


def pair(name: str, *args: Any, **arguments: Any) -> tuple[nn.Module, nn.Module]:
    """Our layer and torch's with the same numbers, which are whole."""
    ours, theirs = getattr(kt, name)(*args, **arguments), getattr(nn, name)(*args, **arguments)
    for parameter in theirs.parameters():
        nn.init.trunc_normal_(parameter, std=3.0, a=-4, b=4)
        parameter.data.round_()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def images(name: str, channels: int, dtype: torch.dtype = torch.float64) -> Tensor:
    axes = int(name[-2])
    shape = (2, channels, *SIZES[:axes])
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def check(ours: nn.Module, theirs: nn.Module, x: Tensor, *more: Any) -> None:
    """Results and all gradients agree to the last bit."""
    found = []
    for layer in (ours, theirs):
        layer.zero_grad()
        given = x.clone().requires_grad_()
        y = layer(given, *more)
        y.backward(torch.ones_like(y))
        found.append([y, given.grad, *(parameter.grad for parameter in layer.parameters())])
    for one, other in zip(*found, strict=True):
        assert one.shape == other.shape and torch.equal(one, other)


@pytest.mark.parametrize("name", NAMES)
def test_layers_do_what_torchs_do(name: str) -> None:
    variants: list[dict[str, Any]] = [{}, {"stride": 2, "padding": 1, "groups": 2}, {"dilation": 2, "bias": False}]
    if "Transpose" in name:
        variants.append({"stride": 3, "output_padding": 2})
    else:
        variants += [{"padding": "same"}, {"padding": "valid", "dtype": torch.float64}]
    for arguments in variants:
        ours, theirs = pair(name, 4, 6, 3, **arguments)
        assert repr(ours) == repr(theirs)
        check(ours.double(), theirs.double(), images(name, 4))
        check(ours.float(), theirs.float(), images(name, 4, torch.float32))


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("name", ["Conv1d", "Conv2d", "Conv3d"])
def test_layers_pad_as_torchs_do(name: str, mode: str) -> None:
    axes = int(name[-2])
    for arguments in ({"padding": (2, 1, 3)[:axes]}, {"padding": "same", "dilation": 2}, {"padding": 2, "stride": 2}):
        ours, theirs = pair(name, 3, 2, 3, padding_mode=mode, **arguments)
        x = images(name, 3)
        check(ours.double(), theirs.double(), x)
        with torch.no_grad():
            assert torch.equal(ours(x), theirs(x)) and torch.equal(ours(x[0]), theirs(x[0]))


@pytest.mark.parametrize("mode", ["reflect", "circular"])
def test_padding_beyond_the_image_is_refused_as_torch_refuses_it(mode: str) -> None:
    ours, theirs = pair("Conv2d", 1, 1, 3, padding=5, padding_mode=mode)
    messages = []
    for layer in (ours, theirs):
        with pytest.raises(RuntimeError) as caught:
            layer(torch.ones(1, 1, 4, 4))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_transposed_layers_take_an_output_size() -> None:
    ours, theirs = pair("ConvTranspose2d", 4, 2, 3, stride=2, padding=1)
    x = images("ConvTranspose2d", 4)
    for size in ([17, 15], [18, 16], [17, 16], [2, 2, 18, 15]):
        check(ours.double(), theirs.double(), x, size)
    for layer in (ours, theirs):
        with pytest.raises(ValueError, match="requested an output size"):
            layer(x, [30, 30])


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_torchs_layers_with_the_same_start_and_state(name: str) -> None:
    torch.manual_seed(1)
    ours = getattr(kt, name)(4, 6, 3)
    torch.manual_seed(1)
    theirs = getattr(nn, name)(4, 6, 3)
    assert isinstance(ours, getattr(nn, name))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(torch.equal(*both) for both in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(getattr(kt, name)(4, 6, 3).state_dict())  # and back


@pytest.mark.parametrize("name", NAMES)
def test_layers_can_be_copied_pickled_and_saved(name: str) -> None:
    layer, x = getattr(kt, name)(4, 6, 3), images(name, 4, torch.float32)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    loaded = getattr(kt, name)(4, 6, 3)
    loaded.load_state_dict(torch.load(file))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), loaded):
        assert type(other) is type(layer) and torch.equal(other(x), layer(x))


@pytest.mark.parametrize("name", NAMES)
def test_lazy_layers_become_ours_at_the_first_call(name: str) -> None:
    layer = getattr(kt, f"Lazy{name}")(6, 3)
    assert isinstance(layer, getattr(nn, f"Lazy{name}"))
    x = images(name, 4, torch.float32)
    y = layer(x)
    assert type(layer) is getattr(kt, name) and layer.in_channels == 4
    theirs = getattr(nn, name)(4, 6, 3)
    theirs.load_state_dict(layer.state_dict())
    assert torch.allclose(y, theirs(x), atol=1e-5)


def network(layers: Any) -> nn.Module:
    return nn.Sequential(
        layers.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        layers.Conv2d(8, 16, 3, stride=2, padding=1, groups=2),
        nn.ReLU(),
        layers.ConvTranspose2d(16, 8, 2, stride=2),
        nn.ReLU(),
        layers.Conv2d(8, 4, 1),
        nn.Flatten(),
        nn.Linear(4 * 64, 3),
    )


def losses(net: nn.Module, x: Tensor, labels: Tensor, steps: int) -> list[float]:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), labels)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
def test_a_network_trains_to_the_losses_of_torchs_own(last: bool, rng: np.random.Generator) -> None:
    x = torch.tensor(rng.standard_normal((24, 1, 8, 8), np.float32))
    labels = torch.tensor(rng.integers(0, 3, 24))
    x[torch.arange(24), 0, 2 * labels] += 2  # a bright line, the lower the higher the label
    torch.manual_seed(0)
    theirs = network(nn)
    ours = network(kt)
    ours.load_state_dict(theirs.state_dict())
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
        ours, theirs = (net.to(memory_format=torch.channels_last) for net in (ours, theirs))
    found, right = losses(ours, x, labels, 25), losses(theirs, x, labels, 25)
    assert right[-1] < 0.7 * right[0], "it learns"
    assert np.allclose(found, right, rtol=2e-4)
