"""The examples in the docstrings run, and give what the docstrings say."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import kernelwise

PACKAGE = Path(kernelwise.__file__).parent
LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    files = [file for file in sorted(PACKAGE.rglob("*.py")) if file.name != "__main__.py"]
    with_examples = [file for file in files if re.search(r"^\s*>>> ", file.read_text(encoding="utf-8"), re.MULTILINE)]
    parts = [file.relative_to(PACKAGE.parent).with_suffix("").parts for file in with_examples]
    return [".".join(part for part in module if part != "__init__") for module in parts]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of_the_module_run_and_give_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=LENIENT)
    assert result.attempted, f"{name}: its examples stand where they are not found"
    assert not result.failed, capsys.readouterr().out


@pytest.mark.parametrize("name", ["corr2d", "correlate", "convolve", "Filter", "explain", "Conv2D", "learn_kernel"])
def test_the_main_public_names_have_an_example(name: str) -> None:
    assert ">>> " in (getattr(kernelwise, name).__doc__ or "")
