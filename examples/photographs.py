"""Learns to take noise out of photographs: from patches of scikit-learn's "china", judged on its "flower"."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor, nn
from training import main

from kernelwise.atomic import replacing

PATCH, STEP = 32, 16  # pixels: the side of a patch, and from one to the next
NOISE = 25 / 255  # standard deviation, where white is 1
WIDTH = 24  # channels inside the network
CROP = 240  # pixels of the photograph that are shown


class Denoiser(nn.Module):
    """(n, 3, h, w) -> the same without noise: what four convolutions take for noise is subtracted."""

    def __init__(self, layers: ModuleType) -> None:
        super().__init__()
        self.noise = nn.Sequential(
            *(layers.Conv2d(3, WIDTH, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
            *(layers.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
            *(layers.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect"), nn.ReLU()),
            layers.Conv2d(WIDTH, 3, 3, padding=1, padding_mode="reflect"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x - self.noise(x)


class Photographs:
    """Learn to take noise out of photographs, with four convolutions."""

    NAME, FIGURE, EPOCHS, BATCH = "photographs", "PSNR in dB", 10, 8

    def __init__(self) -> None:
        patches = _photograph("china.jpg").unfold(2, PATCH, STEP).unfold(3, PATCH, STEP)
        self.patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, PATCH, PATCH)
        self.examples = len(self.patches)
        self.truth = _photograph("flower.jpg")
        fixed = torch.Generator().manual_seed(1)
        self.noisy = self.truth + NOISE * torch.randn(self.truth.shape, generator=fixed)

    def network(self, layers: ModuleType) -> nn.Module:
        return Denoiser(layers)

    def loss(self, network: nn.Module, which: Tensor) -> Tensor:
        """The mean squared error, of patches under noise that is new in each epoch, as are brightness and colours."""
        clean = self.patches[which][:, torch.randperm(3)] * torch.rand(len(which), 1, 1, 1)
        return nn.functional.mse_loss(network(clean + NOISE * torch.randn(clean.shape)), clean)

    def judge(self, network: nn.Module) -> float:
        """Peak signal to noise of the other photograph; under its noise it is 20.2 dB."""
        return float(-10 * torch.log10((network(self.noisy) - self.truth).square().mean()))

    def show(self, network: nn.Module, folder: Path) -> None:
        """A part of the other photograph, noisy, without noise, and as it was, side by side."""
        parts = [part[0, :, :CROP, -CROP:] for part in (self.noisy, network(self.noisy), self.truth)]
        pixels = (torch.cat(parts, 2).clamp(0, 1) * 255).round().byte().permute(1, 2, 0)
        with replacing(folder / "denoised.png") as stream:
            Image.fromarray(pixels.numpy()).save(stream, "PNG")


def _photograph(name: str) -> Tensor:
    """(1, 3, 427, 640) float32 in 0 .. 1."""
    pixels = torch.from_numpy(load_sample_image(name).copy())
    return (pixels.permute(2, 0, 1)[None].float() / 255).contiguous()


if __name__ == "__main__":
    sys.exit(main(Photographs()))
