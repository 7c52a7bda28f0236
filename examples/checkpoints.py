"""Where a training stands, in one safetensors file: weights, the optimiser's state, random numbers, and what was seen.

Tensors lie in the file as they are; everything else is JSON in its header. Nothing in it is ever executed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from kernelwise.atomic import replacing

FORMAT, VERSION = "kernelwise training", 1
Settings = dict[str, Any]


class CheckpointError(Exception):
    """A file that no training can be continued from."""


@dataclass
class Progress:
    """What a training has done."""

    settings: Settings  # what gives other numbers when it is another
    epoch: int = 0  # epochs that are over
    batch: int = 0  # batches of the epoch after them
    order: Tensor | None = (
        None  # (examples,) int64, in which that epoch takes the examples; None before its first batch
    )
    total: float = 0.0  # of the losses of its examples so far
    losses: list[float] = field(default_factory=list)  # of each epoch that is over, mean over its examples
    figures: list[float] = field(default_factory=list)  # after each of them, on what was not trained on


def write(path: Path, progress: Progress, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Replace the file whole or not at all."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors["random"] = torch.get_rng_state()
    if progress.order is not None:
        tensors["order"] = progress.order
    state = optimizer.state_dict()
    for number, values in state["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    plain = asdict(progress) | {"order": None}
    facts = {"version": VERSION, "progress": plain, "groups": state["param_groups"]}
    content = save({name: tensor.contiguous() for name, tensor in tensors.items()}, {FORMAT: json.dumps(facts)})
    with replacing(path) as stream:
        stream.write(content)


def read(path: Path) -> tuple[Progress, dict[str, Tensor], list[Any]]:
    """How far the training is, the tensors of the file, and the optimiser's groups. Raises CheckpointError."""
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get(FORMAT, "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path}: no checkpoint can be read from it ({error})") from None
    if facts is None or facts["version"] != VERSION:
        raise CheckpointError(f"{path}: not a checkpoint of these examples, or of another version of them")
    return Progress(**facts["progress"] | {"order": tensors.pop("order", None)}), tensors, facts["groups"]


def restore(
    tensors: dict[str, Tensor], groups: list[Any], network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put weights, the optimiser's state and the state of torch's random numbers back as they were."""
    network.load_state_dict(_under("network.", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimizer.", tensors).items():
        number, _, what = name.partition(".")
        state.setdefault(int(number), {})[what] = value
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors["random"])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
