"""Trains on several processes at once: each takes its share of every batch, and torch averages their gradients.

    torchrun --nproc-per-node 2 examples/parallel.py

The result is that of one process with the whole batch, to rounding. This is the whole recipe: what is of kernelwise in
it is the two layers.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import timedelta
from pathlib import Path

import torch
from safetensors.torch import save
from sklearn.datasets import load_digits
from torch import Tensor, distributed, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

import kernelwise.torch as kt
from kernelwise.atomic import replacing

RATE, MOMENTUM, SEED = 0.05, 0.9, 0


def network() -> nn.Module:
    """(n, 1, 8, 8) -> (n, 10). Without batch norm, whose statistics would be of each process's share only."""
    return nn.Sequential(
        *(kt.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(kt.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 16, 10)),
    )


def digits() -> tuple[Tensor, Tensor]:
    """Images (n, 1, 8, 8) in 0 .. 1 and what they show (n,)."""
    images, labels = load_digits(return_X_y=True)
    return torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16, torch.from_numpy(labels)


def train(model: nn.Module, epochs: int, batch: int, rank: int = 0, processes: int = 1) -> None:
    """Go through the images so often, in an order that all processes draw alike; `batch` is of all of them together."""
    images, labels = digits()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    order = torch.Generator().manual_seed(SEED)
    for _ in range(epochs):
        shuffled = torch.randperm(len(images), generator=order)
        for which in shuffled[: len(images) // batch * batch].split(batch):
            mine = which[rank::processes]
            optimizer.zero_grad()
            cross_entropy(model(images[mine]), labels[mine]).backward()
            optimizer.step()


def main() -> int:
    """One of the processes. Who it is stands in RANK and WORLD_SIZE, where torchrun puts it."""
    parser = argparse.ArgumentParser(description="Learn to read handwritten digits, on several processes.")
    parser.add_argument("--epochs", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="of all processes together (default: %(default)s)")
    parser.add_argument("--store", default="env://", help="where the processes meet (default: where torchrun says)")
    parser.add_argument(
        "--weights", type=Path, default=Path("runs/parallel.safetensors"), help="(default: %(default)s)"
    )
    given = parser.parse_args()
    rank, processes = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if given.batch % processes:
        parser.error(f"--batch must be a multiple of the {processes} processes (got {given.batch})")
    torch.set_num_threads(max(1, torch.get_num_threads() // processes))  # a share of the cores, too
    distributed.init_process_group(
        "gloo", init_method=given.store, rank=rank, world_size=processes, timeout=timedelta(minutes=1)
    )
    try:
        torch.manual_seed(SEED)
        model = DistributedDataParallel(network())
        train(model, given.epochs, given.batch, rank, processes)
        if rank == 0:
            given.weights.parent.mkdir(parents=True, exist_ok=True)
            with replacing(given.weights) as stream:
                stream.write(save(model.module.state_dict()))
            images, labels = digits()
            with torch.no_grad():
                right = (model.module(images).argmax(1) == labels).double().mean()
            print(f"{processes} processes: {right:.1%} of what they were trained on is read right")
        distributed.barrier()
    finally:
        distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
