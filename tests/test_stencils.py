"""The fixed stencils: what they answer to, and whom they agree with."""

from __future__ import annotations

import numpy as np
import pytest

from kernelwise import stencils
from stencil_responses import response

COMPASS_SETS = {
    "kirsch": (stencils.KIRSCH, 24),
    "robinson-3": (stencils.ROBINSON_3, 6),
    "robinson-5": (stencils.ROBINSON_5, 8),
}
GRADIENTS = {  # name: response to a ramp of slope 1
    "central": 1.0,
    "prewitt": 6.0,
    "sobel": 8.0,
    "scharr": 32.0,
    "frei-chen": 2 * (2 + np.sqrt(2)),
    "farid": (2 * 0.109604 * 2 + 2 * 0.276691) * 0.999999,
}
SMOOTHING = [
    "gaussian:1.5",
    "gaussian-5",
    "box-5",
    "box-4",
    "binomial-5",
    "binomial-4",
    "disk:3",
    "disk:0.2",
    "motion:9,angle=0.5",
]
ZERO_SUM = [
    "laplace",
    "laplace-8",
    "second-x",
    "second-y",
    "highpass",
    "roberts-1",
    "roberts-2",
    "deck",
    "log:1.4",
    "dog:1.4",
]
SUM_ONE = ["sharpen", "sharpen-8", "unsharp", "emboss", "identity"]


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_ignores_a_constant_and_answers_a_ramp_with_its_scale(name):
    kx, ky = stencils.get(f"{name}-x"), stencils.get(f"{name}-y")
    for kernel in (kx, ky):
        assert abs(kernel.sum()) < 1e-15
    assert response(kx, lambda x, y: x) == pytest.approx(GRADIENTS[name], rel=1e-14)
    assert response(ky, lambda x, y: y) == pytest.approx(GRADIENTS[name], rel=1e-14)
    assert abs(response(kx, lambda x, y: y)) < 1e-15 and abs(response(ky, lambda x, y: x)) < 1e-15
    np.testing.assert_array_equal(ky, kx.T)


@pytest.mark.parametrize("name", ZERO_SUM)
def test_a_detector_ignores_a_constant(name):
    kernel = stencils.get(name)
    assert abs(kernel.sum()) < 1e-14 * np.abs(kernel).sum()
    assert kernel.any()


@pytest.mark.parametrize("name", SMOOTHING)
def test_a_smoothing_kernel_is_a_mean(name):
    kernel = stencils.get(name)
    assert kernel.dtype == np.float64 and kernel.min() >= 0
    assert abs(kernel.sum() - 1) < 1e-14
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])


@pytest.mark.parametrize("name", SUM_ONE)
def test_a_sharpening_kernel_keeps_a_constant(name):
    assert stencils.get(name).sum() == 1


def test_the_deck_kernel_finds_the_edges_of_the_deck_image_with_its_signs():
    row = np.array([1, 1, 0, 0, 0, 0, 1, 1])
    found = [int((row[i : i + 2] * stencils.DECK[0]).sum()) for i in range(7)]
    assert stencils.DECK.shape == (1, 2) and found == [0, 1, 0, 0, 0, -1, 0]


def test_second_derivatives_have_their_scale():
    def bowl(x, y):
        return (x * x + y * y) / 2

    assert response(stencils.LAPLACE, bowl) == 2
    assert response(stencils.LAPLACE_8, bowl) == 6
    assert response(stencils.SECOND_X, bowl) == response(stencils.SECOND_Y, bowl) == 1
    assert response(stencils.log(1.4), bowl) == pytest.approx(2, rel=0.01)
    assert response(stencils.gaussian(1.4, derivative=(0, 2)), bowl) == pytest.approx(1, rel=0.01)
    np.testing.assert_allclose(
        stencils.HIGHPASS, stencils.get("identity") * np.pad([[1]], 1) - np.full((3, 3), 1 / 9), atol=1e-16
    )


def test_roberts_looks_along_the_two_diagonals():
    assert [response(k, lambda x, y: x + y) for k in stencils.ROBERTS] == [2, 0]
    assert [response(k, lambda x, y: y - x) for k in stencils.ROBERTS] == [0, 2]


@pytest.mark.parametrize("name", COMPASS_SETS)
def test_of_a_compass_set_the_kernel_named_for_the_bright_side_answers_most(name):
    kernels, scale = COMPASS_SETS[name]
    towards = {
        "n": (0, -1),
        "ne": (1, -1),
        "e": (1, 0),
        "se": (1, 1),
        "s": (0, 1),
        "sw": (-1, 1),
        "w": (-1, 0),
        "nw": (-1, -1),
    }
    for index, direction in enumerate(stencils.COMPASS):
        np.testing.assert_array_equal(stencils.get(f"{name}-{direction}"), kernels[index])
        assert kernels[index].sum() == 0
        dx, dy = towards[direction]
        answers = [response(k, lambda x, y, dx=dx, dy=dy: dx * x + dy * y) for k in kernels]
        assert int(np.argmax(answers)) == index
        assert sorted(answers)[-1] > sorted(answers)[-2]
        if len(direction) == 1:
            assert answers[index] == scale


def test_the_frei_chen_basis_is_orthonormal_and_its_first_four_span_the_gradient():
    basis = stencils.FREI_CHEN.reshape(9, 9)
    np.testing.assert_allclose(basis @ basis.T, np.eye(9), atol=1e-15)
    shares = basis @ (stencils.FREI_CHEN_X / np.linalg.norm(stencils.FREI_CHEN_X)).ravel()
    assert shares[:4] @ shares[:4] == pytest.approx(1, abs=1e-15)


def test_a_line_detector_answers_most_to_its_own_line_and_not_to_a_ramp():
    lines = {
        "horizontal": lambda x, y: y == 0,
        "vertical": lambda x, y: x == 0,
        "diagonal": lambda x, y: x == y,
        "antidiagonal": lambda x, y: x == -y,
    }
    for name, line in lines.items():
        answers = {other: response(stencils.get(f"line-{other}"), line) for other in lines}
        assert answers.pop(name) == 6 and max(answers.values()) <= 0
        assert response(stencils.get(f"line-{name}"), lambda x, y: 5 + 2 * x - 3 * y) == 0


# ---------------------------------------------------------------- whom they agree with


def test_gradients_are_those_of_opencv():
    cv2 = pytest.importorskip("cv2")
    image = np.random.default_rng(1).integers(0, 256, (20, 24)).astype(np.float64)
    for name, theirs in [("sobel", cv2.Sobel), ("scharr", cv2.Scharr)]:
        for axis, order in [("x", (1, 0)), ("y", (0, 1))]:
            ours = cv2.filter2D(image, -1, stencils.get(f"{name}-{axis}").astype(float))
            np.testing.assert_allclose(ours, theirs(image, cv2.CV_64F, *order), atol=1e-9)
    np.testing.assert_allclose(
        cv2.filter2D(image, -1, stencils.LAPLACE.astype(float)), cv2.Laplacian(image, cv2.CV_64F), atol=1e-9
    )


def test_gradients_are_those_of_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(2).normal(size=(20, 24))
    for name in ("sobel", "prewitt"):
        for axis, letter in enumerate("yx"):
            ours = ndimage.correlate(image, stencils.get(f"{name}-{letter}").astype(float))
            np.testing.assert_allclose(ours, getattr(ndimage, name)(image, axis=axis), atol=1e-13)
    np.testing.assert_allclose(
        ndimage.correlate(image, stencils.LAPLACE.astype(float)), ndimage.laplace(image), atol=1e-13
    )


@pytest.mark.parametrize(
    ("name", "scale", "tolerance"),
    [("sobel", 8, 1e-13), ("prewitt", 6, 1e-13), ("scharr", 32, 1e-13), ("farid", 1, 2e-6)],
)
def test_gradients_are_those_of_scikit_image_up_to_the_scale(name, scale, tolerance):
    """scikit-image's gradients are twice the slope; those of Farid as in the paper, with more decimals."""
    filters, ndimage = pytest.importorskip("skimage.filters"), pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(3).uniform(size=(20, 24))
    for letter, theirs in [("y", getattr(filters, f"{name}_h")), ("x", getattr(filters, f"{name}_v"))]:
        ours = ndimage.correlate(image, stencils.get(f"{name}-{letter}").astype(float), mode="reflect")
        inner = (slice(3, -3), slice(3, -3))
        np.testing.assert_allclose(ours[inner] / (scale / 2 if scale > 1 else 1), theirs(image)[inner], atol=tolerance)


def test_roberts_is_that_of_scikit_image():
    filters, ndimage = pytest.importorskip("skimage.filters"), pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(4).uniform(size=(12, 14))
    for kernel, theirs in zip(stencils.ROBERTS, (filters.roberts_pos_diag, filters.roberts_neg_diag), strict=True):
        ours = ndimage.correlate(image, kernel.astype(float), origin=-1)  # scikit-image anchors at tap (0, 0)
        np.testing.assert_allclose(ours, theirs(image), atol=1e-14)
