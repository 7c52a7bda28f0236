"""`kernelwise fit`: two image files become a kernel, a table and a report."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import kernelwise as kw
from kernelwise.app import fit_report
from kernelwise.app.commands import app
from kernelwise.pictures import draw_fit

BLUR = np.outer([1, 2, 1], [1, 2, 1]) / 16


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    x = data.camera()[100:300, 100:320]
    y = kw.correlate(x, BLUR) + np.random.default_rng(0).normal(size=x.shape)
    Image.fromarray(x).save("before.png")
    Image.fromarray(np.clip(np.rint(y), 0, 255).astype(np.uint8)).save("after.png")
    return tmp_path


def test_a_kernel_is_learned_from_two_files_and_written_with_a_report(folder: Path) -> None:
    done = CliRunner().invoke(app, ["fit", "before.png", "after.png", "-o", "kernel.npy", "--report", "fit.html"])
    assert done.exit_code == 0, done.output
    assert "kernel      3 x 3" in done.output and "chosen by bic" in done.output and "+-" in done.output
    assert np.abs(np.load("kernel.npy") - BLUR).max() < 0.005
    page = Path("fit.html").read_text(encoding="utf-8")
    for part in ("Kernel from before.png and after.png", "data:image/png;base64,", "&plusmn;", "3 x 3 (chosen)"):
        assert part in page
    assert {path.name for path in folder.iterdir()} == {"before.png", "after.png", "kernel.npy", "fit.html"}


def test_notes_stand_at_the_head_of_the_report(folder: Path) -> None:
    x = np.asarray(Image.open("before.png")).astype(float)
    fit = kw.fit_kernel(x, kw.correlate(x, np.random.default_rng(0).normal(size=(5, 5))), 3)
    page = fit_report.page(fit, ["a<b.png", "c.png"])
    assert fit.notes and page.index('class="note"') < page.index("<img") and "a&lt;b.png" in page
    assert "Nothing was found" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "many"], "--size"),
        (["--report", "fit.pdf"], "`--report` must be a .html file"),
        (["-o", "kernel.exe"], "kernel.exe"),
        (["--errors", "no"], "--errors"),
        (["--mask", "nothing.png"], "nothing.png"),
        (["--size", "999"], "`size` must be of at most 4096 taps"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(folder: Path, arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(app, ["fit", "before.png", "after.png", *arguments])
    assert done.exit_code != 0 and words in done.output
    assert {path.name for path in folder.iterdir()} == {"before.png", "after.png"}


def test_a_mask_leaves_pixels_out(folder: Path) -> None:
    y = np.asarray(Image.open("after.png")).copy()
    y[50:60] = 255
    Image.fromarray(y).save("spoiled.png")
    mask = np.full(y.shape, 255, np.uint8)
    mask[50:60] = 0
    Image.fromarray(mask).save("mask.png")
    done = CliRunner().invoke(app, ["fit", "before.png", "spoiled.png", "--mask", "mask.png", "-o", "kernel.npy"])
    assert done.exit_code == 0 and np.abs(np.load("kernel.npy") - BLUR).max() < 0.005


def test_a_fit_is_drawn_whatever_its_axes_are(rng: np.random.Generator) -> None:
    signal, image = rng.normal(size=200), rng.normal(size=(2, 20, 30))
    fits = [
        kw.fit_kernel(signal, signal[1:] - signal[:-1], 2),
        kw.fit_kernel(signal, rng.normal(size=200)),
        kw.fit_kernel(image, rng.normal(size=(2, 20, 30)), 3, channels=True),
        kw.fit_kernel(rng.normal(size=(9, 10, 11)), rng.normal(size=(9, 10, 11)), 3, dims=3),
        kw.FitStatistics(3).update(image, image).solve(),
    ]
    for fit in fits:
        figure = draw_fit(fit)
        figure.canvas.draw()
        assert len(figure.axes) >= 4 and "<table>" in fit._repr_html_()
    assert fits[0].plot() is not None


def test_without_a_picture_matplotlib_is_not_imported() -> None:
    code = (
        "import sys, numpy as np, kernelwise as kw\n"
        "x = np.random.default_rng(0).normal(size=(40, 40))\n"
        "print(kw.fit_kernel(x, x, 3))\n"
        "assert 'matplotlib' not in sys.modules and 'scipy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
