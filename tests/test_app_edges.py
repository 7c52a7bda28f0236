"""`kernelwise edges`: the library's edges in files, chains beside them, and one clear line for what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import kernelwise as kw
from kernelwise import edges
from kernelwise.app import edge_command, files, shades, tracing
from kernelwise.app.commands import app
from kernelwise.errors import ArgumentError

CLI = [sys.executable, "-m", "kernelwise.app.cli"]


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, ["edges", *(str(argument) for argument in arguments)])


def words(text: str) -> str:
    return " ".join(text.split())


def discs(number: int = 0) -> np.ndarray:
    """(60, 80, 3) uint8: two discs, and some noise."""
    y, x = np.mgrid[:60, :80]
    near = 90.0 * ((y - 30) ** 2 + (x - 25 - number) ** 2 < 300) + 60.0 * ((y - 28) ** 2 + (x - 60) ** 2 < 150)
    grey = 60 + near + np.random.default_rng(number).normal(0, 2, near.shape)
    return np.stack([grey, 0.9 * grey, grey / 2], axis=-1).clip(0, 255).astype(np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(discs()).save(path)
    return path


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], {"sigma": 1.0}),
        (["--sigma", "1.4", "--low", "auto", "--high", "otsu"], {"sigma": 1.4, "low": "auto", "high": "otsu"}),
        (["--low", "40", "--high", "90.5", "--norm", "l1"], {"low": 40, "high": 90.5, "norm": "l1"}),
        (["--high", "5%", "--operator", "scharr"], {"high": ("fraction", 0.05), "operator": "scharr"}),
        (["--aperture", "5", "--sigma", "0"], {"sigma": 0, "aperture": 5}),
    ],
)
@pytest.mark.parametrize("gray", [False, True])
def test_the_map_is_that_of_the_library(
    tmp_path: Path, photo: Path, options: list[str], arguments: dict[str, Any], gray: bool
) -> None:
    done = call(photo, "-o", tmp_path / "out.npy", *options, *["--gray"] * gray)
    assert done.exit_code == 0, done.output
    x = shades.luma(discs()) if gray else discs()
    expected = edges.canny(x, channel_axis=None if gray else 2, **arguments)
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.bool_ and found.any()
    np.testing.assert_array_equal(found, expected)
    assert f"{np.count_nonzero(expected):,} edge pixels" in done.stdout


def test_opencv_gives_opencvs_pixels(tmp_path: Path, photo: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    done = call(photo, "-o", tmp_path / "out.png", "--gray", "--opencv", "--low", "60", "--high", "120", "--norm", "l1")
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(
        files.read(tmp_path / "out.png").pixels, cv2.Canny(shades.luma(discs()), 60, 120, L2gradient=False)
    )


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif"])
def test_in_a_picture_edges_are_white_on_black(tmp_path: Path, photo: Path, suffix: str) -> None:
    assert call(photo, "-o", tmp_path / f"out{suffix}").exit_code == 0
    shown = files.read(tmp_path / f"out{suffix}").pixels
    shown = shown[..., 0] if shown.ndim == 3 else shown  # WebP knows no grey images
    np.testing.assert_array_equal(shown, edges.canny(discs(), channel_axis=2) * np.uint8(255))


@pytest.mark.parametrize("method", [m for m in tracing.Method if m not in tracing.MAPS])
def test_the_other_methods_give_the_steepest_channels_slope(tmp_path: Path, photo: Path, method: str) -> None:
    done = call(photo, "-o", tmp_path / "out.npy", "--method", method)
    assert done.exit_code == 0, done.output
    found = np.load(tmp_path / "out.npy")
    channels = [edges.gradient(discs()[..., c], str(method), wanted="magnitude").magnitude for c in range(3)]
    np.testing.assert_array_equal(found, np.max(channels, axis=0))
    assert call(photo, "-o", tmp_path / "out.png", "--method", method).exit_code == 0
    levels = np.rint(found * (255 / found.max()))
    np.testing.assert_allclose(files.read(tmp_path / "out.png").pixels, levels, atol=1)


def test_a_sigma_before_the_other_methods_smooths_the_image(tmp_path: Path, photo: Path) -> None:
    assert call(photo, "-o", tmp_path / "out.npy", "--gray", "--method", "sobel", "--sigma", "1.5").exit_code == 0
    smooth = kw.correlate(shades.luma(discs()), "gaussian:1.5")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), edges.sobel(smooth))


def test_an_array_of_two_axes_is_an_image_and_of_more_is_refused(tmp_path: Path) -> None:
    values = shades.luma(discs()).astype(np.float64)
    np.save(tmp_path / "x.npy", values)
    np.save(tmp_path / "volume.npy", np.stack([values] * 3))
    assert call(tmp_path / "x.npy", "-o", tmp_path / "out.npy").exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), edges.canny(values))
    done = call(tmp_path / "volume.npy", "-o", tmp_path / "no.npy")
    assert done.exit_code == 1 and "two axes" in done.stderr
    assert not (tmp_path / "no.npy").exists()


# --- several images ---


@pytest.fixture
def several(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(discs(number)).save(path)
    (tmp_path / "out").mkdir()
    return paths


def test_several_images_go_into_a_folder_under_their_names(tmp_path: Path, several: list[Path]) -> None:
    done = call(*several, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    for number, path in enumerate(several):
        shown = files.read(tmp_path / "out" / path.name).pixels
        np.testing.assert_array_equal(shown, edges.canny(discs(number), channel_axis=2) * np.uint8(255))
        assert path.name in done.stdout
    assert "3 of 3 images" in done.stdout
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_several_images_have_a_bar_on_a_terminal_and_none_in_a_file(tmp_path: Path, several: list[Path]) -> None:
    command = [*CLI, "edges", *(path.name for path in several), "-o", "out"]
    shown, terminal = os.openpty()
    try:
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, text=True, timeout=120)
        os.set_blocking(shown, False)
        bar = os.read(shown, 1 << 20).decode()
    finally:
        os.close(shown)
        os.close(terminal)
    assert done.returncode == 0
    assert "3/3" in bar and "2.png" in bar
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["0.png", "1.png", "2.png", "done"]
    quiet = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (quiet.returncode, quiet.stderr) == (0, "")


def test_one_image_may_go_into_a_folder_too(tmp_path: Path, photo: Path) -> None:
    (tmp_path / "out").mkdir()
    assert call(photo, "-o", tmp_path / "out").exit_code == 0
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_an_image_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, several: list[Path]) -> None:
    several[1].write_bytes(b"no image")
    done = call(*several, "-o", tmp_path / "out")
    assert done.exit_code == 1
    assert "1.png: not an image" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert "2 of 3 images" in done.stdout
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda here: [here / "a" / "x.png", here / "b" / "x.png", "-o", here / "out"], "would replace"),
        (lambda here: [here / "0.png", here / "1.png", "-o", here], "would replace"),
        (lambda here: [here / "0.png", "-o", here / "0.png"], "would replace"),
        (lambda here: [here / "0.png", here / "1.png", "-o", here / "nowhere"], "need a folder"),
        (lambda here: [here / "0.png", here / "1.png", "-o", here / "one.png"], "need a folder"),
        (lambda here: [here / "0.png", "-o", here / "edges.xyz"], "must end in one of"),
        (lambda here: [here / "0.png"], "`--output` or `--chains`"),
        (lambda here: [here / "0.png", here / "1.png", "--chains", "json"], "must name a folder"),
        (lambda here: [here / "0.png", here / "1.png", "-o", here / "out", "--chains", "all.json"], "json or svg"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--chains", "c.txt"], r".json or .svg"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--method", "sobel", "--chains", "svg"], "map of edges"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--subpixel"], "is for --chains"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--min-length", "4"], "`--min-length` is for --chains"),
        (
            lambda here: [here / "0.png", "-o", here / "e.png", "--method", "sobel", "--low", "3"],
            "is for --method canny",
        ),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--method", "log", "--opencv"], "is for --method canny"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--jump", "1"], "is for --method log"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--norm", "l3"], "`norm` must be"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--operator", "sobble"], "`operator` must be"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--aperture", "4"], "`aperture` must be"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--opencv", "--sigma", "1"], "`sigma` must be 0"),
        (lambda here: [here / "0.png", "-o", here / "e.png", "--max-megapixels", "0.001"], "limit"),
        (lambda here: [here / "none.png", "-o", here / "e.png"], "No such file"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, several: list[Path], make: Any, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.fromarray(discs()).save(tmp_path / folder / "x.png")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = call(*make(tmp_path))
    assert done.exit_code == 1, done.output
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("kernelwise: ") and message in lines[0]
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("arguments", [["--low", "x"], ["--high", "x%"], ["--method", "cany"], ["--sigma", "-1"]])
def test_wrong_usage_is_exit_code_2(tmp_path: Path, photo: Path, arguments: list[str]) -> None:
    assert call(photo, "-o", tmp_path / "out.png", *arguments).exit_code == 2
    assert not (tmp_path / "out.png").exists()


def test_ctrl_c_between_two_images_leaves_whole_files_and_ends_with_130(tmp_path: Path, several: list[Path]) -> None:
    code = (
        "import sys, time\n"
        "from kernelwise import edges\n"
        "from kernelwise.app.cli import main\n"
        "genuine, calls = edges.canny, []\n"
        "def slow(*given, **options):\n"
        "    calls.append(1)\n"
        "    if len(calls) > 1:\n"
        "        print('computing', flush=True)\n"
        "        time.sleep(60)\n"
        "    return genuine(*given, **options)\n"
        "edges.canny = slow\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code, "edges", *(path.name for path in several), "-o", "out"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        try:
            while "computing" not in process.stdout.readline():
                assert process.poll() is None
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        finally:
            process.kill()
        assert process.stderr.read().strip() == "kernelwise: interrupted"
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["0.png"]


def test_a_full_disk_keeps_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Path) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, os.strerror(28))

    (tmp_path / "out.png").write_bytes(b"old")
    monkeypatch.setattr("kernelwise.atomic.os.fsync", full)
    done = call(photo, "-o", tmp_path / "out.png")
    assert done.exit_code == 1 and "No space left on device" in done.stderr
    assert (tmp_path / "out.png").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


# --- chains ---


def test_chains_hold_every_edge_pixel_once(tmp_path: Path, photo: Path) -> None:
    done = call(photo, "-o", tmp_path / "out.npy", "--chains", "json", "--min-length", "1")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["image"] == {"name": "photo.png", "height": 60, "width": 80}
    assert found["edges"] == {"method": "canny", "sigma": 1.0, "subpixel": False}
    points = [tuple(point) for chain in found["chains"] for point in chain["points"]]
    pixels = {(float(x), float(y)) for y, x in np.argwhere(np.load(tmp_path / "out.npy"))}
    assert set(points) == pixels
    assert f"{len(found['chains']):,} chains" in done.stdout


def test_chains_finer_than_a_pixel_follow_the_discs_and_say_how_steep_they_are(tmp_path: Path, photo: Path) -> None:
    done = call(photo, "--chains", tmp_path / "c.json", "--subpixel", "--gray", "--sigma", "1.4")
    assert done.exit_code == 0, done.output
    chains = json.loads((tmp_path / "c.json").read_text())["chains"]
    longest = max(chains, key=lambda chain: chain["length"])
    at = np.array(longest["points"])
    off = np.hypot(at[:, 0] - 25, at[:, 1] - 30) - np.sqrt(300)
    assert longest["closed"] and np.sqrt(np.mean(off**2)) < 0.5  # a disc of whole pixels
    assert longest["length"] == pytest.approx(2 * np.pi * np.sqrt(300), rel=0.05)
    assert len(longest["strength"]) == len(longest["direction"]) == len(at)
    assert min(longest["strength"]) > 0


def test_chains_alone_and_the_drawing_need_no_picture(tmp_path: Path, photo: Path) -> None:
    assert call(photo, "--chains", tmp_path / "c.svg").exit_code == 0
    root = ElementTree.fromstring((tmp_path / "c.svg").read_text())
    assert (root.get("width"), root.get("height")) == ("80", "60")
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) >= 2
    assert call(photo, "--chains", "svg").exit_code == 0
    assert (tmp_path / "photo.svg").read_text() == (tmp_path / "c.svg").read_text()


def test_of_several_images_every_one_has_chains_beside_its_picture(tmp_path: Path, several: list[Path]) -> None:
    assert call(*several, "-o", tmp_path / "out", "--chains", "svg").exit_code == 0
    names = {f"{number}{suffix}" for number in range(3) for suffix in (".png", ".svg")}
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == names


def test_zero_crossings_of_log_are_a_map_with_chains(tmp_path: Path, photo: Path) -> None:
    done = call(photo, "-o", tmp_path / "out.npy", "--gray", "--method", "log", "--jump", "1.5", "--chains", "json")
    assert done.exit_code == 0, done.output
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, edges.zero_crossings(edges.log(shades.luma(discs()), 2.0), jump=1.5))
    assert json.loads((tmp_path / "out.json").read_text())["edges"]["method"] == "log"
    assert call(photo, "-o", tmp_path / "no.npy", "--method", "log").exit_code == 1  # colours


def test_names_are_settled_before_anything_is_read(tmp_path: Path) -> None:
    jobs = edge_command.plan([Path("a.jpg"), Path("b.jpg")], tmp_path, "json")
    assert [job.output for job in jobs] == [tmp_path / "a.png", tmp_path / "b.png"]
    assert [job.chains for job in jobs] == [tmp_path / "a.json", tmp_path / "b.json"]
    (job,) = edge_command.plan([Path("a.jpg")], None, "svg")
    assert (job.output, job.chains) == (None, Path("a.svg"))
    with pytest.raises(ArgumentError, match="would replace"):
        edge_command.plan([Path("x.json")], None, "json")
