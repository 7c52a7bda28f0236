"""How arrays are shown: NumPy's text, then the shape and where the array lives."""

from __future__ import annotations

from .core import Core


def text(self: Core) -> str:
    """What print(array) shows; it begins with an empty line, as MXNet's does."""
    return f"\n{self.data.numpy()!s}\n<NDArray {'x'.join(map(str, self.data.shape))} @{self.ctx}>"
