"""Programs of accelerated networks: the same bits as step by step, whatever happens in between."""

import copy
import io
import threading
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as own

import kernelwise.torch as kt
from kernelwise.torch import program
from kernelwise.torch.arena import ALIGN, Need, arranged
from kernelwise.torch.linear import MOST_IMAGES, FusedLinear
from test_torch_accelerate_random import CHANNELS, Drawn

CALLS = 5  # the first is not recorded, the second is, the others are programs
LENGTH = 7


class Block(nn.Module):
    """Convolutions, pooling, an addition, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        self.one, self.two = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 1)
        self.pool, self.last = nn.MaxPool2d(2), nn.Linear(16 * 64, 80)

    def forward(self, x: Tensor) -> Tensor:
        y = self.pool(self.start(x))
        y = own.relu(self.two(own.relu(self.one(y))) + y)
        found: Tensor = self.last(torch.flatten(y, 1))
        return found


def accelerated(network: nn.Module) -> Any:
    made = kt.accelerate(network.eval(), quiet=True)
    assert isinstance(made, kt.Accelerated)
    return made


def step_by_step(network: Any, *given: Tensor) -> Any:
    programs, network.programs = network.programs, None
    with torch.no_grad():
        found = network(*given)
    network.programs = programs
    return found


def programs(network: Any) -> list[program.Program]:
    return [one for one in network.programs._seen.values() if isinstance(one, program.Program)]


def images(seed: int, n: int = 1) -> Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def block() -> Any:
    torch.manual_seed(0)
    return accelerated(Block())


# ---------------------------------------------------------------- the same


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 200), marks=pytest.mark.long)], ids=["few", "many"])
def test_networks_put_together_at_random_compute_the_same_bits(seeds: range) -> None:
    made_of_routines = 0
    for seed in seeds:
        network = accelerated(Drawn(seed))
        kept: list[tuple[list[Tensor], list[Tensor]]] = []
        for call in range(CALLS):
            x = torch.randn(2, CHANNELS, 12, 16, generator=torch.Generator().manual_seed(call))
            wanted = [y.clone() for y in step_by_step(network, x)]
            with torch.no_grad():
                found = network(x)
            kept.append((list(found), wanted))
        for got, right in kept:  # what was returned is not written to by later calls
            assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(got, right, strict=True)), seed
        made_of_routines += bool(programs(network))
    assert made_of_routines > len(seeds) // 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_other_images_in_either_mode_and_with_any_threads(block: Any, mode: Any) -> None:
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            for call in range(CALLS):
                with mode():
                    found = block(images(call))
                assert torch.equal(found, step_by_step(block, images(call))) and found.is_inference() is (
                    mode is torch.inference_mode
                )
    finally:
        torch.set_num_threads(threads)
    assert len(programs(block)) == 2


def test_images_of_many_shapes_have_programs_of_their_own(block: Any) -> None:
    with torch.no_grad():
        for call in range(3 * CALLS):
            x = images(call, 1 + call % 3)
            assert torch.equal(block(x), step_by_step(block, x))
            last = x.contiguous(memory_format=torch.channels_last)
            assert torch.equal(block(last), step_by_step(block, last))
    assert 1 < len(programs(block)) <= program.MOST_PROGRAMS


def test_threads_that_call_at_once_do_not_disturb_each_other(block: Any) -> None:
    wanted = [step_by_step(block, images(seed)) for seed in range(4)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        with torch.no_grad():
            for _ in range(40):
                if not torch.equal(block(images(seed)), wanted[seed]):
                    wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not wrong


# ---------------------------------------------------------------- what changes in between


@torch.no_grad()
def called(network: Any, times: int = CALLS) -> None:
    for call in range(times):
        network(images(call))


def test_weights_that_change_are_seen(block: Any) -> None:
    called(block)
    x = images(9)
    before = step_by_step(block, x)
    block.one.weight.mul_(2)
    with torch.no_grad():
        assert torch.equal(block(x), step_by_step(block, x)) and not torch.equal(block(x), before)
        block.one.weight = nn.Parameter(block.one.weight * 0.5, requires_grad=False)
        assert torch.equal(block(x), step_by_step(block, x))
        block.load_state_dict({name: value * 0.9 for name, value in block.state_dict().items()})
        assert torch.equal(block(x), step_by_step(block, x))


def test_who_listens_to_a_layer_is_told_of_every_call(block: Any) -> None:
    called(block)
    heard: list[str] = []
    handles = [layer.register_forward_hook(lambda *_: heard.append("")) for layer in (block.one, block.pool)]
    called(block, 3)
    assert len(heard) == 6
    for handle in handles:
        handle.remove()
    called(block, 3)
    assert len(heard) == 6 and programs(block)


def test_gradients_are_recorded_where_they_are_wanted(block: Any) -> None:
    called(block)
    x = images(0).requires_grad_()
    block(x).sum().backward()
    assert x.grad is not None and bool(x.grad.abs().sum() > 0)


def test_other_precision_makes_another_program(block: Any) -> None:
    called(block)
    try:
        kt.set_precision("exact")
        called(block)
        with torch.no_grad():
            assert torch.equal(block(images(3)), step_by_step(block, images(3)))
    finally:
        kt.set_precision("fast")
    assert len(programs(block)) == 2


def test_copies_and_what_is_read_from_a_file_begin_without_programs(block: Any) -> None:
    called(block)
    buffer = io.BytesIO()
    torch.save(block, buffer)
    buffer.seek(0)
    for other in (copy.deepcopy(block), torch.load(buffer, weights_only=False)):
        for call in range(CALLS):
            with torch.no_grad():
                assert torch.equal(other(images(call)), step_by_step(block, images(call)))


# ---------------------------------------------------------------- steps of torch's own


class Writing(nn.Module):
    """Adds to its input, where that lies."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        found: Tensor = self.conv(x)
        return found


def test_networks_that_write_to_their_inputs_do_so_once_a_call() -> None:
    network = accelerated(Writing())
    x = torch.zeros(1, 3, 16, 16)
    with torch.no_grad():
        for call in range(CALLS):
            network(x)
            assert bool((x == call + 1).all())
    assert not programs(network)


def cut(y: Tensor) -> Tensor:
    return y[..., :LENGTH].contiguous()


fx.wrap("cut")


class Cutting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(cut(self.one(x)))
        return found


def test_a_step_whose_result_has_another_shape_than_before_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network = accelerated(Cutting())
    called(network)
    assert programs(network)
    monkeypatch.setattr("test_torch_program.LENGTH", 5)
    with torch.no_grad():
        assert network(images(0)).shape == (1, 8, 16, 5)
        assert torch.equal(network(images(1)), step_by_step(network, images(1)))


class Several(nn.Module):
    """Inputs, outputs and arguments of many kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1)
        self.c = nn.Conv2d(16, 4, 3, padding=1)
        self.register_buffer("shift", torch.full((1, 4, 1, 1), 0.25))

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Any]:
        a, b = self.a(x), self.b(y)
        c = self.c(torch.cat([a, b], dim=1)) + self.shift
        parts = c.chunk(2, dim=1)
        return {"c": c, "parts": [parts[1], parts[0][:, :, 1:-1, ::2]], "a": a.view(-1), "x": x, "n": 3}


def test_inputs_and_results_of_many_kinds() -> None:
    network = accelerated(Several())
    earlier = []
    for call in range(CALLS):
        x, y = images(call), images(call + 50)
        right = step_by_step(network, x, y)
        with torch.no_grad():
            found = network(x, y)
        assert found["x"] is x and found["n"] == 3
        earlier.append((found, right))
    assert programs(network)
    for found, right in earlier:
        assert torch.equal(found["c"], right["c"]) and torch.equal(found["a"], right["a"])
        assert all(torch.equal(*pair) for pair in zip(found["parts"], right["parts"], strict=True))


# ---------------------------------------------------------------- linear layers


def test_linear_layers_of_few_images_are_those_of_torch(block: Any) -> None:
    layer = nn.Linear(1024, 80)
    ours = FusedLinear(layer)
    for shape in ((1, 1024), (MOST_IMAGES, 1024), (5, 1024), (1024,), (2, 3, 1024)):
        x = torch.randn(*shape)
        with torch.no_grad():
            found, wanted = ours(x), layer(x)
        assert found.shape == wanted.shape and torch.allclose(found, wanted, atol=1e-5)
    assert isinstance(block.last, FusedLinear) or isinstance(block.last.step, FusedLinear)
    assert ("last", "linear") in [(row.layer, row.steps) for row in block.report.rows]
    with pytest.raises(RuntimeError):
        ours(torch.randn(1, 7))


# ---------------------------------------------------------------- memory


def test_needs_that_are_in_use_together_never_overlap() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        count = int(torch.randint(1, 14, (), generator=generator))
        needs = []
        for _ in range(count):
            first, more, size = (int(torch.randint(0, top, (), generator=generator)) for top in (12, 5, 2000))
            needs.append(Need(first, first + more, size))
        places, whole = arranged(needs)
        most = max(sum(n.bytes for n in needs if n.first <= step <= n.last) for step in range(17))
        assert most <= whole <= sum(-(-n.bytes // ALIGN) * ALIGN for n in needs)
        for i, (one, at) in enumerate(zip(needs, places, strict=True)):
            assert at % ALIGN == 0 and at + one.bytes <= whole
            for other, there in list(zip(needs, places, strict=True))[:i]:
                if one.first <= other.last and other.first <= one.last:
                    assert at + one.bytes <= there or there + other.bytes <= at


def test_results_that_are_not_read_any_more_make_room() -> None:
    network = accelerated(nn.Sequential(*[nn.Conv2d(8, 8, 3, padding=1) for _ in range(9)]))
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(1, 8, 32, 32))
    [made] = programs(network)
    assert made.arena_bytes <= 2 * 4 * 8 * 32 * 32
