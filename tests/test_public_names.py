"""The public list, pinned: a name is added or taken away here first."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import kernelwise
from kernelwise.version import VERSION

PUBLIC = {
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Filter",
    "PreparedConv",
    "__version__",
    "clear_cache",
    "conv",
    "conv_bias_gradient",
    "conv_input_gradient",
    "conv_transpose",
    "conv_weight_gradient",
    "convolve",
    "corr2d",
    "correlate",
    "edges",
    "errors",
    "explain",
    "learn_kernel",
    "fit_kernel",
    "fit_varying_kernel",
    "FitStatistics",
    "KernelFit",
    "VaryingKernelFit",
    "set_threads",
    "stencils",
}
FUNCTIONS_AND_CLASSES = sorted(PUBLIC - {"__version__", "edges", "errors", "stencils"})
API_PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def test_the_public_names_are_these_and_no_others() -> None:
    assert set(kernelwise.__all__) == PUBLIC
    assert len(kernelwise.__all__) == len(PUBLIC), "a name stands twice"


def test_dir_shows_every_public_name() -> None:
    assert set(dir(kernelwise)) >= PUBLIC


def test_every_public_name_is_there_and_of_the_right_kind() -> None:
    assert kernelwise.__version__ == VERSION
    assert isinstance(kernelwise.edges, ModuleType)
    assert isinstance(kernelwise.errors, ModuleType)
    assert isinstance(kernelwise.stencils, ModuleType)
    for name in FUNCTIONS_AND_CLASSES:
        assert callable(getattr(kernelwise, name)), name


def test_an_unknown_name_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="corr3d"):
        _ = kernelwise.corr3d


def with_public_methods(name: str, thing: object) -> Iterator[tuple[str, object]]:
    """A function, or a class and its public methods, each with its full name."""
    yield name, thing
    if inspect.isclass(thing):
        for key, value in vars(thing).items():
            if inspect.isfunction(value) and (key == "__call__" or not key.startswith("_")):
                yield f"{name}.{key}", value


@pytest.mark.parametrize("name", FUNCTIONS_AND_CLASSES)
def test_every_public_callable_has_a_docstring_and_annotations(name: str) -> None:
    for full_name, thing in with_public_methods(name, getattr(kernelwise, name)):
        assert inspect.getdoc(thing), f"{full_name} has no docstring"
        function = thing.__init__ if inspect.isclass(thing) else thing
        signature = inspect.signature(function)
        bare = [p.name for p in signature.parameters.values() if p.name != "self" and p.annotation is p.empty]
        assert not bare, f"{full_name}: no annotation on {', '.join(bare)}"
        known = inspect.isclass(thing) or signature.return_annotation is not signature.empty
        assert known, f"{full_name}: no annotation of the result"


def test_every_public_name_has_its_place_in_the_api_page() -> None:
    page = API_PAGE.read_text(encoding="utf-8").splitlines()
    shown = {line.rpartition("kernelwise.")[2] for line in page if line.startswith(".. auto")}
    assert shown == PUBLIC - {"__version__"}
