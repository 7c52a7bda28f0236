"""Programs that import mxnet run as they are, and a real MXNet is left alone."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

import kernelwise
import kernelwise.mxnet as door
from kernelwise.mxnet import naming
from kernelwise.mxnet.__main__ import main
from kernelwise.mxnet.base import MXNetError

KERNEL = Path(__file__).parent / "recordings" / "programs" / "kernel.py"  # beside it, what MXNet 1.9.1 printed
SOURCE = str(Path(kernelwise.__file__).parents[1])
PROGRAM = dedent(
    """
    import sys
    import mxnet as mx
    import mxnet.ndarray as arrays
    from mxnet import autograd, nd
    from mxnet.base import MXNetError
    from mxnet.ndarray import NDArray
    import neighbour

    assert mx.nd is nd is arrays and isinstance(nd.ones((2,)), NDArray)
    assert mx.__name__ == "kernelwise.mxnet" and mx.__spec__.name == "kernelwise.mxnet"
    X = nd.ones((6, 8))
    X[:, 2:6] = 0
    K = nd.array([[1, -1]])
    print(sum(X[:, i : i + 7] * K[0, i] for i in (0, 1)))
    print(sys.argv[1:], __name__, neighbour.WHERE)
    """
)
PRINTED = """
[[ 0.  1.  0.  0.  0. -1.  0.]
 [ 0.  1.  0.  0.  0. -1.  0.]
 [ 0.  1.  0.  0.  0. -1.  0.]
 [ 0.  1.  0.  0.  0. -1.  0.]
 [ 0.  1.  0.  0.  0. -1.  0.]
 [ 0.  1.  0.  0.  0. -1.  0.]]
<NDArray 6x7 @cpu(0)>
['--epochs', '3'] __main__ beside the program
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program and a module that it imports."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "neighbour.py").write_text("WHERE = 'beside the program'")
    return tmp_path


def python(*arguments: str, cwd: Path, path: str = "") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [SOURCE, path])), "PYTHONWARNINGS": "error"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, env=environment)


def real_mxnet(folder: Path) -> Path:
    """A package of that name, as if MXNet were installed."""
    package = folder / "site" / "mxnet"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('the real one was imported')")
    return package


def test_a_program_runs_as_it_is_and_prints_what_it_printed_under_mxnet(tmp_path: Path) -> None:
    done = python("-m", "kernelwise.mxnet", str(KERNEL), "30", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == KERNEL.with_suffix(".txt").read_text()


def test_a_program_with_its_imports_changed_prints_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        KERNEL.read_text()
        .replace("import mxnet", "import kernelwise.mxnet")
        .replace("from mxnet", "from kernelwise.mxnet")
    )
    monkeypatch.setattr(sys, "argv", [str(KERNEL), "30"])
    door.random.seed(0)
    with ThreadPoolExecutor(1) as thread:  # where blocks are numbered from 0
        thread.submit(exec, compile(code, str(KERNEL), "exec"), {"__name__": "__main__"}).result()
    assert capsys.readouterr().out == KERNEL.with_suffix(".txt").read_text()


def test_a_module_runs_as_it_is_beside_a_real_mxnet_which_is_left_alone(folder: Path) -> None:
    package = real_mxnet(folder)
    before = sorted(package.rglob("*"))
    done = python("-m", "kernelwise.mxnet", "-m", "program", "--epochs", "3", cwd=folder, path=str(package.parent))
    assert (done.returncode, done.stdout) == (0, PRINTED), done.stderr
    assert done.stderr.startswith("kernelwise: `import mxnet` runs on kernelwise.mxnet here; the mxnet ")
    assert str(package) in done.stderr and done.stderr.count("\n") == 1
    assert sorted(package.rglob("*")) == before


@pytest.fixture
def name_given_back() -> Iterator[None]:
    """Whatever a test does with the name mxnet in this process is undone."""
    yield
    naming.uninstall()
    sys.modules.pop("mxnet", None)


def start(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """`python -m kernelwise.mxnet arguments` in this process."""
    monkeypatch.setattr(sys, "argv", ["-m", *arguments])
    monkeypatch.setattr(sys, "path", list(sys.path))
    main()


def test_errors_and_exit_codes_are_the_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name_given_back: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, code in {
        "stop.py": "import sys, mxnet; sys.exit(7)",
        "none.py": "import mxnet.symbol",
        "wrong.py": "from mxnet import nd; nd.ones((2,)) + nd.ones((3,))",
    }.items():
        (tmp_path / name).write_text(code)
    with pytest.raises(SystemExit, match="7"):
        start(monkeypatch, str(tmp_path / "stop.py"))
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'mxnet\.symbol'"):
        start(monkeypatch, str(tmp_path / "none.py"))
    with pytest.raises(MXNetError, match="could not be broadcast"):
        start(monkeypatch, str(tmp_path / "wrong.py"))
    with pytest.raises(SystemExit, match=r"there is no program 'absent\.py'"):
        start(monkeypatch, "absent.py")
    with pytest.raises(SystemExit, match="2"):
        start(monkeypatch)
    assert "python -m kernelwise.mxnet program.py" in capsys.readouterr().err


def test_a_notebook_finds_the_door_after_load_ext(name_given_back: None, capsys: pytest.CaptureFixture[str]) -> None:
    before = find_spec("mxnet")
    door.load_ipython_extension(None)
    door.load_ipython_extension(None)
    import mxnet.autograd
    import mxnet.nd

    assert mxnet is door and mxnet.autograd is door.autograd and mxnet.nd is door.nd
    naming.uninstall()
    assert find_spec("mxnet") == before and "mxnet" not in sys.modules
    assert capsys.readouterr() == ("", "")


def test_an_mxnet_that_is_imported_already_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ModuleType("mxnet")
    monkeypatch.setitem(sys.modules, "mxnet", own)
    door.load_ipython_extension(None)
    assert import_module("mxnet") is own
    assert "mxnet is imported already" in capsys.readouterr().err
