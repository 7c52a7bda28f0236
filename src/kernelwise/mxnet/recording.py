"""Whether operations are recorded, and whether layers behave as in training: one state for each thread."""

from __future__ import annotations

import threading


class State(threading.local):
    """Of this thread."""

    recording: bool = False
    training: bool = False


STATE = State()
