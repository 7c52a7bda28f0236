"""The gradient's routines between forbidden pages: image, every result, scratch memory and tables.

`python -m support.guarded_gradient FIRST STEP HOW` runs every STEP-th routine in a process of its own and prints each
before it runs it. HOW is "plain"; "stream", to write past the caches; "over", to read one pixel too far on purpose.
"""

from __future__ import annotations

import faulthandler
import sys
from itertools import product
from typing import Any

import numpy as np

import kernelwise.algorithms.launch as launches
from kernelwise import costs, run
from kernelwise.edges import fused, gradient as _, second  # noqa: F401
from kernelwise.jit.target import available, named

from . import guarded, slopes
from .fences import Padded

AWAY = launches.walk.FIELDS.index("inner_stop")
WANTED: dict[str, dict[str, Any]] = {
    "all": {"above": 20.0},
    "mask": {"wanted": "mask", "above": 20.0},
    "l1 and mask": {"wanted": ("magnitude", "mask"), "norm": "l1", "above": 20.0},
    "bytes": {"wanted": ("gx", "magnitude"), "dtype": "u1"},
    "wide": {"wanted": ("magnitude", "direction"), "dtype": "f8"},
}
FORMS = {"sobel": 2, "roberts": 2, "farid": 2, "gaussian": 2, "prewitt": 3, "central": 1, "crossings": 2}
