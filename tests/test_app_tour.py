"""The tour: it tells its own numbers, checks its own claims, and draws one picture, whole or not at all."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

import kernelwise as kw
from kernelwise.app import claims, drawing, outlines, photo, picture, steps, tour
from kernelwise.app.commands import app
from kernelwise.errors import ArgumentError, FileError


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["tour", *(str(argument) for argument in arguments)])


@pytest.fixture
def small_photo(tmp_path: Path) -> Path:
    """A landscape of clouds, 96 x 140 pixels: smooth, with some grain."""
    generator = np.random.default_rng(5)
    y, x = np.mgrid[:96, :140]
    clouds = 120 + 60 * np.sin(x / 17) * np.cos(y / 11) + 40 * ((x - 70) ** 2 + (y - 48) ** 2 < 900)
    path = tmp_path / "clouds [1] $x$.png"
    Image.fromarray(np.clip(clouds + generator.normal(0, 6, clouds.shape), 0, 255).astype(np.uint8)).save(path)
    return path


def test_the_tour_tells_the_four_steps_and_writes_a_picture_of_the_expected_size(tmp_path: Path) -> None:
    done = call("--output", tmp_path)
    assert done.exit_code == 0, done.output
    text = " ".join(done.stdout.split())
    for numbers in ("19 25", "37 43", "0 x 0 + 1 x 1 + 3 x 2 + 4 x 3 = 19", "0 1 0 0 0 -1 0", "grace_hopper.jpg"):
        assert numbers in text
    assert "NO" not in text.split() and "✗" not in text
    assert [entry.name for entry in tmp_path.iterdir()] == ["tour.png"]
    with Image.open(tmp_path / "tour.png") as image:
        image.load()
        assert image.size == (picture.WIDTH, picture.page_height((600, 512)))
        assert image.size[0] == 1600
        pixels = np.asarray(image.convert("L"))
    assert (pixels == 255).mean() > 0.3, "the page is mostly paper"
    assert pixels[:4].min() == 255 and pixels[-4:].min() == 255, "nothing runs over the edge"
    assert pixels[:, :20].min() == 255 and pixels[:, -20:].min() == 255, "nothing runs over the sides"


def test_the_tour_takes_a_photograph_of_ones_own_and_replaces_the_old_picture(
    tmp_path: Path, small_photo: Path
) -> None:
    (tmp_path / "tour.png").write_bytes(b"old")
    done = call(small_photo, "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "clouds [1] $x$.png" in done.stdout
    with Image.open(tmp_path / "tour.png") as image:
        assert image.size == (picture.WIDTH, picture.page_height((96, 140)))


def test_a_claim_that_fails_is_marked_and_ends_with_1_and_without_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_photo: Path
) -> None:
    genuine = kw.corr2d
    monkeypatch.setattr(kw, "corr2d", lambda x, k: genuine(x, np.asarray(k)[::-1, ::-1]))
    (tmp_path / "tour.png").write_bytes(b"old")
    done = call(small_photo, "-o", tmp_path)
    assert done.exit_code == 1
    assert "found:" in done.stdout and "4 of 4 differ" in " ".join(done.stdout.split())
    assert "a claim of the tour does not hold here" in done.stderr
    assert (tmp_path / "tour.png").read_bytes() == b"old"


@pytest.mark.parametrize("mistake", ["flat", "tiny", "nan", "array", "folder"])
def test_a_photograph_that_teaches_nothing_is_refused_in_one_line(tmp_path: Path, mistake: str) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(np.full((40, 40) if mistake != "tiny" else (40, 4), 90, np.uint8)).save(path)
    if mistake in ("nan", "array"):
        path = tmp_path / ("photo.tif" if mistake == "nan" else "photo.npy")
        values = np.full((40, 40), np.nan, np.float32)
        Image.fromarray(values).save(path) if mistake == "nan" else np.save(path, values)
    done = call(path, "-o", tmp_path / "nowhere" if mistake == "folder" else tmp_path)
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("kernelwise: ")
    assert not (tmp_path / "tour.png").exists()


def test_a_disk_that_is_full_keeps_the_old_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_photo: Path
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(photo, "STAGES", (2, 5, 12))
    monkeypatch.setattr("kernelwise.atomic.os.fsync", full)
    (tmp_path / "tour.png").write_bytes(b"old")
    done = call(small_photo, "-o", tmp_path)
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert (tmp_path / "tour.png").read_bytes() == b"old"
    assert sorted(entry.suffix for entry in tmp_path.iterdir()) == [".png", ".png"]


def test_every_claim_of_the_small_steps_holds() -> None:
    for step in (steps.operator(), steps.layer(), steps.edges(), steps.learning()):
        assert step.claims
        for claim in step.claims:
            assert claim.holds, f"{claim.text}: {claim.found}"


def test_every_claim_about_the_edges_of_a_photograph_holds(small_photo: Path) -> None:
    found = outlines.outlines(photo.load(small_photo, 10**6))
    for claim in (*found.claims, *found.circle.claims):
        assert claim.holds, f"{claim.text}: {claim.found}"
    assert found.circle.error < outlines.FINE
    y, x = found.strongest()
    assert found.map[max(0, round(y) - 1) : round(y) + 2, max(0, round(x) - 1) : round(x) + 2].any()


def test_a_claim_about_edges_fails_when_the_hysteresis_is_wrong(
    monkeypatch: pytest.MonkeyPatch, small_photo: Path
) -> None:
    genuine = outlines.edges.canny

    def without_growing(x: np.ndarray, sigma: float = 1.0, low: Any = "auto", high: Any = "auto") -> np.ndarray:
        return genuine(x, sigma, high if high != "auto" else low, high)

    monkeypatch.setattr(outlines.edges, "canny", without_growing)
    assert not all(claim.holds for claim in outlines.outlines(photo.load(small_photo, 10**6)).claims)


def test_growing_goes_round_corners_and_not_over_gaps() -> None:
    inside = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 1]], bool)
    start = np.zeros_like(inside)
    start[0, 0] = start[2, 0] = True  # the second is not inside
    expected = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    np.testing.assert_array_equal(outlines.grown(start, inside), expected)


def test_least_squares_finds_any_kernel_and_bounds_its_distance(rng: np.random.Generator) -> None:
    image = rng.uniform(size=(60, 70))
    for size in ((1, 2), (3, 3), (2, 5)):
        kernel = rng.normal(size=size)
        error = rng.uniform(-1e-4, 1e-4, (61 - size[0], 71 - size[1]))
        found, within = photo.least_squares(image, kw.corr2d(image, kernel) + error, size, 1e-4)
        assert np.abs(found - kernel).max() <= within < 1e-2
    with pytest.raises(ArgumentError, match="too smooth"):
        photo.least_squares(np.ones((30, 30)), np.ones((28, 28)), (3, 3), 1e-7)


def test_a_claim_holds_only_when_the_numbers_bear_it_out() -> None:
    assert claims.equal("", [1, 2], [1, 2]).holds
    assert not claims.equal("", [1, 2], [1, 3]).holds
    assert not claims.equal("", [1, 2], [[1, 2]]).holds
    assert claims.close("", [1.0], [1.1], 0.2).holds
    for wrong in ([1.3], [np.nan], [1.0, 1.0]):
        assert not claims.close("", wrong, [1.1], 0.1).holds
    assert claims.falling("", [3, 2, 1]).holds
    for wrong in ([1], [1, 1], [2, 3], [3, np.nan]):
        assert not claims.falling("", wrong).holds


def test_without_unicode_the_marks_are_words() -> None:
    for encoding, mark in (("utf-8", "✓"), ("ascii", "yes")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
        teller = tour.Teller()
        teller.console = Console(file=stream, highlight=False)
        teller.check([claims.equal("it is so", [1], [1])])
        stream.seek(0)
        assert f"{mark} it is so" in stream.read()


@pytest.mark.parametrize("shape", [(600, 512), (100, 3000), (3000, 100), (16, 16)])
def test_the_page_has_room_for_a_photograph_of_any_shape(shape: tuple[int, int]) -> None:
    height = picture.photo_height(shape)
    assert picture.PHOTO_HEIGHTS[0] <= height <= picture.PHOTO_HEIGHTS[1]
    assert picture.page_height(shape) > picture.PHOTO_TOP + height


def test_texts_of_the_page_do_not_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_photo: Path) -> None:
    pages: list[drawing.Page] = []
    genuine = drawing.Page.save

    def keep(page: drawing.Page, stream: Any) -> None:
        genuine(page, stream)
        pages.append(page)

    monkeypatch.setattr(drawing.Page, "save", keep)
    assert call(small_photo, "-o", tmp_path).exit_code == 0
    figure = pages[0].figure
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [text for text in figure.texts if text.get_text()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    assert len(boxes) > 20
    for i, one in enumerate(boxes):
        assert 0 <= one.x0 and one.x1 <= pages[0].width and 0 <= one.y0 and one.y1 <= pages[0].height
        for j in range(i):
            assert not one.overlaps(boxes[j]), f"{texts[i].get_text()!r} over {texts[j].get_text()!r}"
        for axes in figure.axes:
            assert not one.overlaps(axes.get_window_extent(renderer)), f"{texts[i].get_text()!r} over a drawing"


def test_the_default_photograph_is_told_missing_when_matplotlib_came_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("matplotlib.cbook.get_sample_data", missing)
    with pytest.raises(FileError, match="name one"):
        photo.load(None, 10**6)
