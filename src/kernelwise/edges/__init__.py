"""Step 3: edges. Gradients, Canny, positions finer than a pixel, chains of edge pixels, and scoring."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LATER = {  # public name: module in this folder, imported when first asked for
    "gradient": "gradients",
    "Gradient": "gradients",
    "sobel": "gradients",
    "scharr": "gradients",
    "prewitt": "gradients",
    "roberts": "gradients",
    "farid": "gradients",
    "laplace": "second",
    "log": "second",
    "zero_crossings": "second",
    "canny": "detector",
    "subpixel": "points",
    "Points": "points",
    "link": "chains",
    "Chain": "chains",
    "score": "scoring",
    "Score": "scoring",
    "figure_of_merit": "scoring",
}

__all__ = sorted(_LATER)


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
