"""The command line: what it writes is what the library computes, and what goes wrong is one clear line."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import kernelwise as kw
from kernelwise.app import cli, files, shades
from kernelwise.app.commands import app

CLI = [sys.executable, "-m", "kernelwise.app.cli"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A colour photograph of waves, as PNG."""
    y, x = np.mgrid[:40, :56]
    waves = [127 + 120 * np.sin(x / a) * np.cos(y / b) for a, b in ((5, 7), (9, 4), (3, 11))]
    path = tmp_path / "photo.png"
    Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8)).save(path)
    return path


def call(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def words(text: str) -> str:
    """What was printed, without line breaks and frames."""
    return " ".join(text.replace("│", " ").split())


def array(path: Path) -> np.ndarray:
    return files.read(path).pixels


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], {}),
        (["--mode", "valid", "--dtype", "float64"], {"mode": "valid", "dtype": np.float64}),
        (["--mode", "full", "--border", "wrap"], {"mode": "full", "border": "wrap"}),
        (
            ["--border", "constant", "--fill", "7", "--anchor", "0,2"],
            {"border": "constant", "fill": 7, "anchor": (0, 2)},
        ),
        (
            ["--border", "edge", "--stride", "2,3", "--dilation", "2"],
            {"border": "edge", "stride": (2, 3), "dilation": 2},
        ),
        (["--nan", "omit", "--border", "symmetric", "--threads", "1"], {"nan": "omit", "border": "symmetric"}),
    ],
)
@pytest.mark.parametrize("flipped", [False, True])
def test_the_result_is_that_of_the_library(
    tmp_path: Path, photo: Path, options: list[str], arguments: dict[str, Any], flipped: bool
) -> None:
    done = call(
        "correlate", photo, "-k", "1,2,0;0,3,-1;4,0,2", "-o", tmp_path / "out.npy", *options, *["--convolve"] * flipped
    )
    assert done.exit_code == 0, done.output
    kernel = np.array([[1, 2, 0], [0, 3, -1], [4, 0, 2]])
    expected = (kw.convolve if flipped else kw.correlate)(array(photo), kernel, axes=(0, 1), **arguments)
    found = array(tmp_path / "out.npy")
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_colour_is_filtered_per_channel_and_gray_by_its_brightness(tmp_path: Path, photo: Path) -> None:
    assert call("correlate", photo, "-k", "sobel-x", "-o", tmp_path / "colour.tif").exit_code == 0
    channels = [kw.correlate(array(photo)[..., c], "sobel-x") for c in range(3)]
    np.testing.assert_array_equal(array(tmp_path / "colour.tif"), np.stack(channels, axis=-1))
    assert call("correlate", photo, "-k", "sobel-x", "-o", tmp_path / "grey.tif", "--gray").exit_code == 0
    brightness = np.rint(array(photo) @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    np.testing.assert_array_equal(array(tmp_path / "grey.tif"), kw.correlate(brightness, "sobel-x"))


def test_an_array_is_filtered_along_its_last_axes_or_those_asked_for(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "signal.npy", x[0, 0])
    assert call("correlate", tmp_path / "x.npy", "-k", "box-3", "-o", tmp_path / "last.npy").exit_code == 0
    np.testing.assert_array_equal(array(tmp_path / "last.npy"), kw.correlate(x, "box-3"))
    done = call("correlate", tmp_path / "x.npy", "-k", "box-3", "-o", tmp_path / "first.npy", "--axes", "0,1")
    assert done.exit_code == 0
    np.testing.assert_array_equal(array(tmp_path / "first.npy"), kw.correlate(x, "box-3", axes=(0, 1)))
    assert call("correlate", tmp_path / "signal.npy", "-k", "1,-1", "-o", tmp_path / "line.npy").exit_code == 0
    np.testing.assert_array_equal(array(tmp_path / "line.npy"), kw.correlate(x[0, 0], np.array([1, -1])))


@pytest.mark.parametrize(("suffix", "within"), [(".png", 0), (".bmp", 0), (".webp", 0), (".jpg", 12)])
def test_a_picture_shows_signed_results_around_grey_and_says_so(
    tmp_path: Path, photo: Path, suffix: str, within: int
) -> None:
    done = call("correlate", photo, "--gray", "-k", "1,-1", "-o", tmp_path / f"out{suffix}")
    assert done.exit_code == 0
    assert "0 is grey 128" in words(done.stdout)
    result = kw.correlate(shades.luma(array(photo)), np.array([[1, -1]]))
    expected = np.rint(128 + result * (127 / np.abs(result).max()))
    shown = array(tmp_path / f"out{suffix}")
    grey = shown[..., 0] if shown.ndim == 3 else shown  # WebP knows no grey images
    assert np.abs(grey - expected).max() <= within


def test_scale_none_keeps_the_numbers_and_sixteen_bits_stay_sixteen(tmp_path: Path, photo: Path) -> None:
    done = call("correlate", photo, "-k", "identity", "-o", tmp_path / "same.png", "--scale", "none")
    assert done.exit_code == 0 and "as they are" in words(done.stdout)
    np.testing.assert_array_equal(array(tmp_path / "same.png"), array(photo))
    done = call("correlate", photo, "--gray", "-k", "300", "-o", tmp_path / "deep.png", "--dtype", "uint16")
    assert done.exit_code == 0
    deep = array(tmp_path / "deep.png")
    assert deep.dtype == np.uint16 and deep.max() > 255 * 200


def test_explain_prints_the_plan_of_a_shape_and_of_a_photo(photo: Path) -> None:
    kernel = kw.stencils.get("sobel-x")
    done = call("explain", "1080x1920", "-k", "sobel-x", "--dtype", "float32", "--border", "edge")
    assert done.exit_code == 0
    assert str(kw.explain(np.zeros((1080, 1920), np.float32), kernel, border="edge")) in done.stdout
    colour = str(kw.explain(array(photo), kernel, axes=(0, 1)))
    for shown in (call("explain", photo, "-k", "sobel-x"), call("explain", "40x56x3", "-k", "sobel-x")):
        assert shown.exit_code == 0
        assert colour in shown.stdout


def test_explain_prints_what_the_plan_generates(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plan:
        def ir(self) -> str:
            return "define void @filter"

        def asm(self) -> str:
            return "vfmadd231ps"

    monkeypatch.setattr(kw, "explain", lambda *_, **__: Plan())
    assert "define void @filter" in call("explain", "8x8", "-k", "box-3", "--ir").stdout
    assert "vfmadd231ps" in call("explain", "8x8", "-k", "box-3", "--asm").stdout
    monkeypatch.setattr(kw, "explain", lambda *_, **__: "a plan without code")
    done = call("explain", "8x8", "-k", "box-3", "--ir")
    assert done.exit_code == 1 and "no code to print with --ir" in words(done.output)


def test_bench_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Sequence[str]] = []

    def main(arguments: Sequence[str]) -> int:
        given.append(list(arguments))
        return 3

    monkeypatch.setattr("kernelwise.app.bench.main", main)
    assert call("bench", "--quick", "--json", "x.json", "--help").exit_code == 3
    assert given == [["--quick", "--json", "x.json", "--help"]]


def test_every_command_option_and_argument_has_a_help_text() -> None:
    root: Any = typer.main.get_command(app)
    assert {"correlate", "explain", "bench", "tour"} <= set(root.commands)
    for command in (root, *root.commands.values()):
        assert command.help
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{command.name}: {parameter.name} has no help"
    for name in root.commands:
        if name != "bench":  # answers --help itself
            done = call(name, "--help")
            assert done.exit_code == 0 and "Usage" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "sobelx", "-o", "out.png"], "`kernel` must be one of"),
        (["-k", "1,x", "-o", "out.png"], "`kernel` must be numbers"),
        (["-k", "box-3", "-o", "out.xyz"], "must end in one of"),
        (["-k", "box-3", "-o", "nowhere/out.png"], "there is no folder"),
        (["-k", "box-3", "-o", "out.png", "--anchor", "5,5"], "`anchor`"),
        (["-k", "box-3", "-o", "out.png", "--stride", "0"], "`stride`"),
        (["-k", "box-3", "-o", "out.png", "--max-megapixels", "0.001"], "limit"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Path, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call("correlate", photo, *arguments)
    assert done.exit_code == 1
    errors = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(errors) == 1 and errors[0].startswith("kernelwise: ") and message in errors[0]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["photo.png"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stride", "x"],
        ["--fill", "x"],
        ["--dtype", "text"],
        ["--border", "REFLECT"],
        ["--anchor", "a,b"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, photo: Path, arguments: list[str]) -> None:
    done = call("correlate", photo, "-k", "box-3", "-o", tmp_path / "out.png", *arguments)
    assert done.exit_code == 2
    assert not (tmp_path / "out.png").exists()


def test_a_truncated_photo_is_exit_code_1_and_no_output(tmp_path: Path, photo: Path) -> None:
    data = photo.read_bytes()
    for length in np.linspace(0, len(data) - 20, 12).astype(int).tolist():
        photo.write_bytes(data[:length])
        done = call("correlate", photo, "-k", "sobel-x", "-o", tmp_path / "out.png")
        assert done.exit_code == 1
        assert done.stderr.startswith("kernelwise: ") and "photo.png" in done.stderr
        assert not (tmp_path / "out.png").exists()


def test_an_interrupt_is_exit_code_130_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: Path
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(kw, "correlate", interrupted)
    done = call("correlate", photo, "-k", "box-3", "-o", tmp_path / "out.npy")
    assert done.exit_code == 130
    assert done.stderr.strip() == "kernelwise: interrupted"


def test_ctrl_c_ends_the_program_with_130(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((64, 64), np.float32))
    code = (
        "import sys, time\n"
        "import kernelwise as kw\n"
        "from kernelwise.app.cli import main\n"
        "def slow(*_, **__):\n"
        "    print('computing', flush=True)\n"
        "    time.sleep(60)\n"
        "kw.correlate = slow\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", code, "correlate", "x.npy", "-k", "box-3", "-o", "y.npy"]
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
        assert "Traceback" not in process.stderr.read()
    assert not (tmp_path / "y.npy").exists()


def test_the_installed_program_filters_a_photo(tmp_path: Path, photo: Path) -> None:
    command = [*CLI, "correlate", str(photo), "--kernel", "sobel-x", "-o", "out.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "photo.png" in done.stdout and "out.npy" in done.stdout
    np.testing.assert_array_equal(array(tmp_path / "out.npy"), kw.correlate(array(photo), "sobel-x", axes=(0, 1)))


@pytest.mark.parametrize(("library", "name"), cli.EXTRA.items())
def test_a_missing_extra_is_one_line_that_tells_what_to_install(tmp_path: Path, library: str, name: str) -> None:
    code = f"import sys; sys.modules[{library!r}] = None; from kernelwise.app.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "tour"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"kernelwise: this command needs {name}: pip install kernelwise[app]"]


def test_a_terminal_without_unicode_gets_question_marks_and_no_error(tmp_path: Path, photo: Path) -> None:
    photo.rename(tmp_path / "fóto.png")
    command = [*CLI, "correlate", "fóto.png", "-k", "box-3", "-o", "öut.png"]
    settings = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=settings, timeout=120)
    assert done.returncode == 0, done.stderr
    assert b"f?to.png" in done.stdout
    assert (tmp_path / "öut.png").exists()
