"""examples/star_fields.py: a difference of two nights that is noise, and shows what is new."""

from pathlib import Path

import pytest
from PIL import Image


def test_the_difference_is_nearly_noise_and_the_new_stars_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "examples")
    import star_fields

    scores = star_fields.main(["--side", "300", "--folder", str(tmp_path)])
    noise, found = scores["kernelwise"]
    assert noise < 1.1 < scores["SciPy"][0] and found == star_fields.NEW
    assert "times the noise" in capsys.readouterr().out
    with Image.open(tmp_path / "difference.png") as picture:
        assert picture.size[0] > 1500
