"""PyTorch, with its idle threads asleep.

Small networks are many short operations, and between two of them PyTorch's OpenMP threads spin by default. Where other
programs use the processor too, a thread that spins holds up the one it waits for: an epoch of LeNet on two threads took
0.17 s with threads that sleep and up to 3 s with threads that spin (two shared cores, torch 2.13). OpenMP asks the
environment once, when it is loaded; so this room is imported before anything else here that imports torch. It changes
nothing where torch was imported before, or where the environment says how to wait.
"""

from __future__ import annotations

import os
import sys

POLICY = "OMP_WAIT_POLICY"
SAID = (POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # by GNU's OpenMP and by LLVM's


def _load() -> None:
    if "torch" in sys.modules or any(name in os.environ for name in SAID):
        return
    os.environ[POLICY] = "PASSIVE"
    try:
        import torch  # noqa: F401
    finally:
        del os.environ[POLICY]  # children ask for themselves


_load()
