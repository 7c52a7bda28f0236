"""Learns to read scikit-learn's handwritten digits: 1797 images of 8 x 8 pixels, every fifth one kept for judging."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from training import main

EVERY = 5  # of the images, one is not trained on


class Digits:
    """Learn to read handwritten digits, with four convolutions."""

    NAME, FIGURE, EPOCHS, BATCH = "digits", "accuracy in %", 12, 32

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        pixels = torch.from_numpy(images).float().reshape(-1, 1, 8, 8) / 16
        kept = torch.arange(len(pixels)) % EVERY == 0
        self.images, self.labels = pixels[~kept], torch.from_numpy(labels)[~kept]
        self.others, self.truth = pixels[kept], torch.from_numpy(labels)[kept]
        self.examples = len(self.images)

    def network(self, layers: ModuleType) -> nn.Module:
        """(n, 1, 8, 8) -> (n, 10): two convolutions, half the size, two more, and a linear layer."""
        return nn.Sequential(
            *(layers.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
            *(layers.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            nn.MaxPool2d(2),
            *(layers.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(layers.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64 * 16, 10)),
        )

    def loss(self, network: nn.Module, which: Tensor) -> Tensor:
        """Cross entropy, of images that are moved by up to a pixel."""
        moved = functional.pad(self.images[which], (1, 1, 1, 1))
        top, left = (int(n) for n in torch.randint(0, 3, (2,)))
        return functional.cross_entropy(network(moved[:, :, top : top + 8, left : left + 8]), self.labels[which])

    def judge(self, network: nn.Module) -> float:
        """Per cent of the other digits that are read right."""
        return 100 * float((network(self.others).argmax(1) == self.truth).double().mean())

    def show(self, network: nn.Module, folder: Path) -> None:
        """Nothing: the accuracy says it all."""


if __name__ == "__main__":
    sys.exit(main(Digits()))
