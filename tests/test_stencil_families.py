"""The stencils with parameters: SciPy's, OpenCV's and scikit-image's weights, areas, lengths and scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelwise import stencils
from kernelwise.errors import ArgumentError
from stencil_responses import coordinates, response


@given(sigma=st.floats(0.6, 6), order=st.integers(0, 3), truncate=st.floats(3, 6))
@settings(max_examples=60, deadline=None)
def test_gaussian_is_the_impulse_response_of_scipy_mirrored(sigma, order, truncate):
    ndimage = pytest.importorskip("scipy.ndimage")
    radius = int(truncate * sigma + 0.5)
    impulse = np.zeros(2 * radius + 3)
    impulse[radius + 1] = 1
    theirs = ndimage.gaussian_filter1d(impulse, sigma, order=order, truncate=truncate, mode="constant")[::-1]
    assert theirs[0] == theirs[-1] == 0, "the radius is SciPy's"
    kernel = stencils.gaussian(sigma, truncate=truncate, derivative=order, ndim=1)
    unit = 1.0 if order == 0 else 4 * np.abs(theirs).max()
    np.testing.assert_allclose(kernel, theirs[1:-1], rtol=0, atol=1e-15 * unit)


def test_a_gaussian_narrower_than_a_pixel_is_one_tap_and_has_no_derivative():
    assert stencils.gaussian(0.1).tolist() == [[1.0]]
    with pytest.raises(ArgumentError, match="`derivative` must be below the number of taps"):
        stencils.gaussian(0.1, derivative=(0, 1))


def test_gaussian_takes_one_value_per_axis_and_leaves_an_axis_of_sigma_0_alone():
    kernel = stencils.gaussian((0, 2), derivative=(0, 1))
    assert kernel.shape == (1, 17)
    np.testing.assert_array_equal(kernel[0], stencils.gaussian(2, ndim=1, derivative=1))
    assert stencils.gaussian((1, 2), size=(3, 7)).shape == (3, 7)
    assert stencils.gaussian(1, ndim=3).shape == (9, 9, 9)
    np.testing.assert_array_equal(stencils.get("gaussian-y:2"), stencils.get("gaussian-x:2").T)


@pytest.mark.parametrize("sigma", [0.7, 1.0, 2.0, 5.0])
def test_a_gaussian_derivative_answers_a_ramp_with_its_slope_within_one_percent(sigma):
    kernel = stencils.get(f"gaussian-x:{sigma}")
    assert abs(kernel.sum()) < 1e-15
    assert response(kernel, lambda x, y: x) == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    "name", ["gaussian:1.5", "gaussian-15", "gaussian-x:1.5", "box-5", "binomial-5", "sobel-x-7", "sobel-y", "farid-x"]
)
def test_separable_kernels_have_rank_one(name):
    kernel = stencils.get(name)
    values = np.linalg.svd(kernel.astype(float), compute_uv=False)
    assert values[1] <= 1e-14 * values[0]


def test_binomials_are_exact_and_the_named_constants_are_theirs():
    np.testing.assert_array_equal(stencils.binomial(3), stencils.BINOMIAL_3)
    np.testing.assert_array_equal(stencils.binomial(5), stencils.BINOMIAL_5)
    assert all(stencils.binomial(n, ndim=1).sum() == 1 for n in range(1, 40))
    assert stencils.binomial(1023, ndim=1).sum() == pytest.approx(1, abs=1e-14)
    tap = np.arange(9) - 4
    assert stencils.binomial(9, ndim=1) @ tap**2 == 2  # the variance is (size - 1) / 4


@pytest.mark.parametrize("size", [3, 5, 7, 31])
def test_sobel_of_any_size_has_its_scale_and_the_weights_of_opencv(size):
    cv2 = pytest.importorskip("cv2")
    kernel = stencils.sobel(size)
    assert kernel.dtype == np.int64 and kernel.sum() == 0
    x = coordinates(kernel)[0]
    assert int((kernel * x).sum()) == 2 ** (2 * size - 3)
    along, across = cv2.getDerivKernels(1, 0, size, ktype=cv2.CV_64F)
    np.testing.assert_array_equal(kernel, np.outer(across[:, 0], along[:, 0]))
    np.testing.assert_array_equal(stencils.get(f"sobel-y-{size}"), kernel.T)


def test_sobel_works_on_any_axis_of_any_number():
    kernel = stencils.sobel(3, axis=0, ndim=3)
    z = np.arange(3).reshape(3, 1, 1) - 1
    assert (kernel * z).sum() == 32 and kernel.sum() == 0
    np.testing.assert_array_equal(stencils.sobel(3, axis=-3, ndim=3), kernel)
    np.testing.assert_array_equal(stencils.sobel(3, axis=1), stencils.SOBEL_X)


def test_log_is_scipys_but_for_the_sum_of_the_cut_tails():
    ndimage = pytest.importorskip("scipy.ndimage")
    kernel = stencils.log(2.0)
    impulse = np.zeros((17, 17))
    impulse[8, 8] = 1
    theirs = ndimage.gaussian_laplace(impulse, 2.0, mode="constant")
    np.testing.assert_allclose(kernel, theirs - theirs.sum() * stencils.gaussian(2.0), atol=1e-15)
    assert abs(kernel.sum()) < 1e-15 < abs(theirs.sum()) < 1e-3


def test_dog_is_close_to_the_negative_laplacian_of_the_gaussian():
    size = 33
    ours, log = stencils.dog(2.0, size=size), -stencils.log(2.0 * np.sqrt(1.6), size=size)
    cosine = (ours * log).sum() / np.linalg.norm(ours) / np.linalg.norm(log)
    assert cosine > 0.98


@pytest.mark.parametrize("theta", [0.0, 0.5, 2.0, -1.1])
def test_gabor_is_opencvs_turned_and_scaled_and_picks_its_wave(theta):
    cv2 = pytest.importorskip("cv2")
    kernel = stencils.gabor(6.0, theta, sigma=4.0, gamma=0.7, phase=0.3, size=(21, 25))
    theirs = cv2.getGaborKernel((25, 21), 4.0, theta, 6.0, 0.7, 0.3)[::-1, ::-1]
    np.testing.assert_allclose(kernel / kernel[10, 12], theirs / theirs[10, 12], atol=1e-13)

    even, odd = stencils.gabor(6.0, theta), stencils.gabor(6.0, theta, phase=-np.pi / 2)
    wave = lambda x, y: np.cos(2 * np.pi / 6 * (x * np.cos(theta) + y * np.sin(theta)))  # noqa: E731
    across = lambda x, y: np.cos(2 * np.pi / 6 * (y * np.cos(theta) - x * np.sin(theta)))  # noqa: E731
    assert response(even, wave) == pytest.approx(0.5, abs=0.01)
    assert abs(response(even, across)) < 0.02
    assert abs(odd.sum()) < 1e-15
    assert response(odd, lambda x, y: x * np.cos(theta) + y * np.sin(theta)) > 0


@given(radius=st.floats(0.05, 12))
@settings(max_examples=60, deadline=None)
def test_an_antialiased_disk_has_the_area_of_the_circle_and_the_symmetry_of_the_square(radius):
    kernel = stencils.disk(radius)
    for turned in (kernel.T, kernel[::-1], kernel[:, ::-1]):
        np.testing.assert_array_equal(kernel, turned)
    middle = kernel[kernel.shape[0] // 2, kernel.shape[1] // 2]
    if radius >= np.sqrt(0.5):  # the middle pixel is full
        assert 1 / middle == pytest.approx(np.pi * radius**2, rel=1e-13)
    assert kernel.shape[0] == 2 * np.ceil(radius - 0.5) + 1 and kernel.min() >= 0
    assert kernel[0].any(), "no margin of zeros"


def test_a_disk_tap_is_the_share_of_its_pixel_inside_the_circle():
    radius, fine = 2.3, 400
    kernel = stencils.disk(radius) * np.pi * radius**2
    grid = (np.arange(5 * fine) + 0.5) / fine - 2.5
    inside = np.hypot(*np.meshgrid(grid, grid)) <= radius
    np.testing.assert_allclose(kernel, inside.reshape(5, fine, 5, fine).mean(axis=(1, 3)), atol=2e-3)


@pytest.mark.parametrize("radius", [0.5, 1, 2.5, 3, 7])
def test_a_plain_disk_is_that_of_scikit_image(radius):
    morphology = pytest.importorskip("skimage.morphology")
    theirs = morphology.disk(int(radius)) if radius == int(radius) else None
    kernel = stencils.disk(radius, antialiased=False)
    x, y = coordinates(kernel)
    np.testing.assert_array_equal(kernel > 0, x * x + y * y <= radius**2)
    assert abs(kernel.sum() - 1) < 1e-14
    if theirs is not None:
        np.testing.assert_array_equal(kernel > 0, theirs > 0)


@given(length=st.floats(1, 40), angle=st.floats(-4, 4))
@settings(max_examples=80, deadline=None)
def test_a_motion_kernel_lies_along_its_line_with_the_spread_of_its_length(length, angle):
    kernel = stencils.motion(length, angle)
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    assert kernel.sum() == pytest.approx(1, abs=1e-14)
    x, y = coordinates(kernel)
    off_line = y * np.cos(angle) - x * np.sin(angle)
    assert np.abs(off_line[kernel > 0]).max() <= np.sqrt(0.5) + 1e-9, "every tap is a pixel that the line crosses"
    along = x * np.cos(angle) + y * np.sin(angle)
    assert abs(np.sqrt((kernel * along**2).sum()) - length / np.sqrt(12)) < 0.5
    assert kernel[0].any() and kernel[:, 0].any(), "no margin of zeros"


def test_a_motion_along_an_axis_is_a_box():
    np.testing.assert_allclose(stencils.motion(5), stencils.box((1, 5)), rtol=1e-15)
    np.testing.assert_allclose(stencils.motion(5, np.pi / 2), stencils.box((5, 1)), rtol=1e-15)
    np.testing.assert_allclose(stencils.motion(3 * np.sqrt(2), np.pi / 4), np.eye(3) / 3, atol=1e-15)
    assert stencils.motion(1, 1e-310).tolist() == [[1.0]]


def test_delta_is_the_unit_impulse():
    assert stencils.delta((3, 5)).tolist() == [[0] * 5, [0, 0, 1, 0, 0], [0] * 5]
    assert stencils.delta(1, ndim=3).shape == (1, 1, 1)


@pytest.mark.parametrize("size", [1, 5, 11, 15, 31])
def test_a_gaussian_named_by_its_size_has_opencvs_sigma(size):
    cv2 = pytest.importorskip("cv2")
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    line = cv2.getGaussianKernel(size, sigma)[:, 0]
    assert stencils.sigma_of_size(size) == sigma
    np.testing.assert_allclose(stencils.get(f"gaussian-{size}"), np.outer(line, line), atol=1e-15)
