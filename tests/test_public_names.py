"""The public list, pinned: a name is added or taken away here first."""

import inspect
from pathlib import Path
from types import ModuleType

import pytest

import kernelwise
from kernelwise.version import VERSION

PUBLIC = {
    "Conv2D",
    "Filter",
    "__version__",
    "clear_cache",
    "convolve",
    "corr2d",
    "correlate",
    "errors",
    "explain",
    "learn_kernel",
    "set_threads",
    "stencils",
}
FUNCTIONS_AND_CLASSES = sorted(PUBLIC - {"__version__", "errors", "stencils"})
API_PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(kernelwise.__all__) == PUBLIC
    assert len(kernelwise.__all__) == len(PUBLIC), "a name stands twice"


def test_dir_shows_every_public_name() -> None:
    assert set(dir(kernelwise)) >= PUBLIC


def test_every_public_name_is_there_and_of_the_right_kind() -> None:
    assert kernelwise.__version__ == VERSION
    assert isinstance(kernelwise.errors, ModuleType)
    assert isinstance(kernelwise.stencils, ModuleType)
    for name in FUNCTIONS_AND_CLASSES:
        assert callable(getattr(kernelwise, name)), name


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="corr3d"):
        _ = kernelwise.corr3d


def public_callables() -> list[tuple[str, object]]:
    """The public functions and classes, and the public methods of the classes, each with its full name."""
    found: list[tuple[str, object]] = []
    for name in FUNCTIONS_AND_CLASSES:
        thing = getattr(kernelwise, name)
        found.append((name, thing))
        if inspect.isclass(thing):
            own = [(key, value) for key, value in vars(thing).items() if inspect.isfunction(value)]
            found += [(f"{name}.{key}", value) for key, value in own if key == "__call__" or not key.startswith("_")]
    return found


@pytest.mark.parametrize(("name", "thing"), public_callables(), ids=[name for name, _ in public_callables()])
def test_every_public_callable_has_a_docstring_and_annotations(name: str, thing: object) -> None:
    if not name.endswith("__call__"):  # a class's docstring tells how its objects are called
        assert inspect.getdoc(thing), f"{name} has no docstring"
    function = thing.__init__ if inspect.isclass(thing) else thing  # type: ignore[misc]
    signature = inspect.signature(function)
    bare = [key for key, p in signature.parameters.items() if key != "self" and p.annotation is inspect.Parameter.empty]
    assert not bare, f"{name}: no annotation on {', '.join(bare)}"
    if not inspect.isclass(thing):
        assert signature.return_annotation is not inspect.Signature.empty, f"{name}: no annotation of the result"


def test_every_public_name_has_its_place_in_the_api_page() -> None:
    page = API_PAGE.read_text(encoding="utf-8")
    missing = [name for name in FUNCTIONS_AND_CLASSES if f"kernelwise.{name}\n" not in page]
    missing += [name for name in ("errors", "stencils") if f"kernelwise.{name}\n" not in page]
    assert not missing, f"docs/api.md does not show {missing}"
