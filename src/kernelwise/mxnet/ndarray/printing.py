"""How arrays are shown: NumPy's text, then the shape and where the array lives."""

from __future__ import annotations

import numpy as np

from .core import Core

# NumPy 2 shows some numbers otherwise than the NumPy that MXNet ran on: 16777216 as 1.6777216e+07
AS_BEFORE = {"legacy": "1.25"} if int(np.__version__.partition(".")[0]) > 1 else {}


def text(self: Core) -> str:
    """What print(array) shows; it begins with an empty line, as MXNet's does."""
    with np.printoptions(**AS_BEFORE):  # type: ignore[arg-type]
        numbers = str(self.data.numpy())
    return f"\n{numbers}\n<NDArray {'x'.join(map(str, self.data.shape))} @{self.ctx}>"
