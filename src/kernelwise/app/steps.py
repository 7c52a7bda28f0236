"""The four steps on arrays small enough to check by hand: what is computed, and what is claimed of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import kernelwise as kw
from kernelwise import edges as edge_finding

from . import claims
from .claims import Claim

EDGE = np.array([[1, -1]], np.float32)
STEPS, LEARNING_RATE = 10, 3e-2
NEAR = 0.05  # how far from [1, -1] the learned taps may be after so few steps
ROUNDING = 1e-5  # float32 sums of a few numbers near 1, in another order


@dataclass(frozen=True)
class Operator:
    """Step 1: `output` (2, 2) is corr2d of `image` (3, 3) and `kernel` (2, 2), all whole numbers."""

    image: np.ndarray
    kernel: np.ndarray
    output: np.ndarray
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Layer:
    """Step 2: `output` (n, 1, h, w-1): a layer with `weight` (1, 1, 1, 2) and `bias` (1,) on `images` (n, 1, h, w)."""

    images: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    output: np.ndarray
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Edges:
    """Step 3: `edges` (6, 7) of the `stripes` (6, 8), and `across` (8, 5) of the stripes lying down."""

    stripes: np.ndarray
    kernel: np.ndarray
    edges: np.ndarray
    across: np.ndarray
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Learning:
    """Step 4: the `kernel` (1, 2) learned from stripes and edges; `losses` has one value for each step."""

    start: np.ndarray
    kernel: np.ndarray
    losses: np.ndarray
    claims: tuple[Claim, ...]


def stripes() -> np.ndarray:
    """(6, 8) float32: white, with a black band four columns wide."""
    image = np.ones((6, 8), np.float32)
    image[:, 2:6] = 0
    return image


def operator() -> Operator:
    """Step 1 on the numbers 0 to 8."""
    image = np.arange(9).reshape(3, 3)
    kernel = np.array([[0, 1], [2, 3]])
    output = kw.corr2d(image, kernel)
    by_hand = [[(image[i : i + 2, j : j + 2] * kernel).sum() for j in range(2)] for i in range(2)]
    return Operator(
        image,
        kernel,
        output,
        (
            claims.equal("corr2d gives 19 25 over 37 43", output, [[19, 25], [37, 43]]),
            claims.equal("multiplying and adding window by window gives the same", output, by_hand),
        ),
    )


def layer() -> Layer:
    """Step 2: a layer on a batch of two images, with the bias made visible."""
    images = np.stack([stripes(), 1 - stripes()])[:, np.newaxis]
    made = kw.Conv2D(1, kernel_size=(1, 2), in_channels=1, seed=0)
    bias = np.array([0.5], np.float32)
    made.bias = bias
    output = made(images)
    expected = np.stack([kw.corr2d(image[0], made.weight[0, 0]) + bias[0] for image in images])[:, np.newaxis]
    rise = np.ones_like(output)
    _, weight_gradient, _ = made.gradients(images, rise)
    again = sum(kw.corr2d(image[0], one[0]) for image, one in zip(images, rise, strict=True))
    return Layer(
        images,
        made.weight.copy(),
        bias,
        output,
        (
            claims.close("every image comes out as corr2d(image, weight) + bias", output, expected, ROUNDING),
            claims.close(
                "the gradient of the weight is corr2d too: of the images, with the gradient of the output",
                weight_gradient[0, 0],
                again,
                ROUNDING * rise.size,
            ),
        ),
    )


def edges() -> Edges:
    """Step 3: the kernel [1, -1] on upright stripes, and on the same stripes lying down; then Canny on both."""
    image = stripes()
    found, across = kw.corr2d(image, EDGE), kw.corr2d(image.T, EDGE)
    outlines = edge_finding.canny(image, sigma=0)
    return Edges(
        image,
        EDGE,
        found,
        across,
        (
            claims.equal("every row is 0 1 0 0 0 -1 0: from white to black 1, back to white -1", found, [EDGE_ROW] * 6),
            claims.equal(
                "of the transposed image nothing is left: the kernel sees no horizontal edge", across, [[0] * 5] * 8
            ),
            claims.equal("Canny finds the same two edges, one pixel wide", outlines[:, :-1], found != 0),
            claims.equal(
                "and finds them on the transposed image too", edge_finding.canny(image.T, sigma=0), outlines.T
            ),
        ),
    )


EDGE_ROW = [0, 1, 0, 0, 0, -1, 0]


def learning() -> Learning:
    """Step 4: ten steps of gradient descent from stripes and edges; then the same ten with the layer's gradients."""
    image = stripes()
    wanted = kw.corr2d(image, EDGE)
    x, y = image[np.newaxis, np.newaxis], wanted[np.newaxis, np.newaxis]
    by_hand = kw.Conv2D(1, kernel_size=(1, 2), in_channels=1, seed=0)
    start = by_hand.weight[0, 0].copy()
    learned = kw.learn_kernel(image, wanted, EDGE.shape, steps=STEPS, learning_rate=LEARNING_RATE, start=start)
    for _ in range(STEPS):
        _, weight_gradient, _ = by_hand.gradients(x, 2 * (by_hand(x) - y))
        by_hand.weight[...] -= LEARNING_RATE * weight_gradient
    return Learning(
        start,
        learned.kernel,
        np.asarray(learned.losses),
        (
            claims.falling("the loss falls at every step", learned.losses),
            claims.close(f"the kernel is within {NEAR} of [1, -1]", learned.kernel, EDGE, NEAR),
            claims.close(
                "the same ten steps with layer.gradients arrive at the same kernel",
                learned.kernel,
                by_hand.weight[0, 0],
                ROUNDING,
            ),
        ),
    )
