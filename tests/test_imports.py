"""Imports point one way, optional libraries stay at the rim, and importing the package is quick."""

import ast
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import kernelwise

PACKAGE = Path(kernelwise.__file__).parent

# The order of the rooms. A module imports from its own tier and from those above it in this list, never from below.
# `stencils` is nothing but constants and stands with the first, so that `correlate(x, "sobel-x")` may look there.
DOORS = {"torch", "mxnet", "dask", "sklearn", "ndimage", "pictures"}
TIERS: list[set[str]] = [
    {"version", "errors", "atomic", "lazy", "dtypes", "arrays", "borders", "stencils", "problem", "bands", "native"},
    {"jit"},
    {"algorithms"},
    {"plan", "costs", "pieces"},
    {"run", "calls", "flagged"},
    {"correlation", "layers"},
    {"edges", "fitting", "caches"},
    {"__init__"},  # the public names, for the doors and the application
    DOORS,
    {"app", "__main__"},
]
RANK = {room: rank for rank, tier in enumerate(TIERS) for room in tier}

BASE = {"numpy", *sys.stdlib_module_names}
NEVER_AT_IMPORT = {"torch", "scipy", "matplotlib", "dask", "typer", "rich", "PIL", "mxnet", "pandas"}


def module_name(file: Path) -> str:
    """`src/kernelwise/jit/cache.py` is `kernelwise.jit.cache`; a folder's `__init__.py` bears the folder's name."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    """`kernelwise.jit.cache` lies in the room `jit`; `kernelwise` itself is `__init__`."""
    return module.split(".")[1] if "." in module else "__init__"


SOURCES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}


def nodes(tree: ast.AST, with_annotations: bool) -> Iterator[ast.AST]:
    """A syntax tree's nodes; without annotations, those under `if TYPE_CHECKING:` are left out: they never run."""
    yield tree
    never_runs = isinstance(tree, ast.If) and isinstance(tree.test, ast.Name) and tree.test.id == "TYPE_CHECKING"
    for child in tree.orelse if never_runs and not with_annotations else ast.iter_child_nodes(tree):
        yield from nodes(child, with_annotations)


def imported_by(module: str, with_annotations: bool = True) -> Iterator[tuple[int, str]]:
    """Line and full name of everything a module imports, at its top or inside a function."""
    file = SOURCES[module]
    for node in nodes(ast.parse(file.read_text(encoding="utf-8")), with_annotations):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module if file.name == "__init__.py" else module.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - (node.level - 1)]
                base = ".".join([*above, base] if base else above)
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                yield node.lineno, submodule if submodule in SOURCES else base


def inner_imports(module: str, with_annotations: bool = True) -> Iterator[tuple[int, str]]:
    found = imported_by(module, with_annotations)
    return ((line, name) for line, name in found if name.split(".")[0] == "kernelwise")


def outer_imports(module: str) -> Iterator[tuple[int, str]]:
    return ((line, name.split(".")[0]) for line, name in imported_by(module) if name.split(".")[0] != "kernelwise")


def test_every_module_has_a_tier() -> None:
    rooms = {room_of(module) for module in SOURCES}
    assert {"errors", "correlation", "jit"} <= rooms, "the sources are not where this test looks for them"
    assert rooms <= RANK.keys(), f"give these a place in TIERS: {sorted(rooms - RANK.keys())}"


def test_imports_point_one_way() -> None:
    backwards = [
        f"{SOURCES[module]}:{line}: {room_of(module)} imports {name}"
        for module in SOURCES
        if module != "kernelwise"  # hands out the public names of every room, on first use
        for line, name in inner_imports(module)
        if RANK[room_of(name)] > RANK[room_of(module)]
    ]
    assert not backwards, "\n".join(backwards)


def test_there_are_no_import_cycles() -> None:
    graph = {module: {name for _, name in inner_imports(module, False) if name != module} for module in SOURCES}
    graph["kernelwise"] = set()  # see above
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


def test_only_jit_imports_llvmlite() -> None:
    users = {room_of(module) for module in SOURCES for _, name in outer_imports(module) if name == "llvmlite"}
    assert users == {"jit"}


def test_only_the_application_and_the_doors_import_optional_libraries() -> None:
    strangers = [
        f"{SOURCES[module]}:{line}: imports {name}"
        for module in SOURCES
        if room_of(module) not in DOORS | {"app", "__main__"}
        for line, name in outer_imports(module)
        if name not in BASE and not (room_of(module) == "jit" and name == "llvmlite")
    ]
    assert not strangers, "\n".join(strangers)


def in_a_child(code: str) -> str:
    """What a fresh interpreter prints when it runs `code`."""
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip()


def test_importing_the_package_imports_no_optional_library() -> None:
    loaded = in_a_child("import sys, kernelwise; print(*{name.partition('.')[0] for name in sys.modules})").split()
    assert {"kernelwise", "numpy"} <= set(loaded)
    assert not NEVER_AT_IMPORT & set(loaded)


def test_the_application_starts_without_the_libraries_of_other_extras() -> None:
    loaded = in_a_child("import sys, kernelwise.app.cli; print(*{name.partition('.')[0] for name in sys.modules})")
    assert not {"torch", "scipy", "dask", "pandas", "cv2", "skimage", "sklearn"} & set(loaded.split())


def test_importing_the_package_is_quick(report_figure: Callable[[str, str], None]) -> None:
    """In processor time, which other work on the machine disturbs least, beside NumPy's own. How quick it really is,
    the benchmark says."""
    clock = "from time import process_time as now; {}; t = now(); import {}; print(now() - t)"

    def milliseconds(before: str, name: str) -> float:
        return statistics.median(float(in_a_child(clock.format(before, name))) for _ in range(5)) * 1e3

    numpy, ours = milliseconds("pass", "numpy"), milliseconds("import numpy", "kernelwise")
    report_figure("import of kernelwise, after numpy", f"{ours:.0f} ms of processor time (numpy {numpy:.0f} ms)")
    assert ours < 2 * numpy
