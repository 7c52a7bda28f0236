"""`kernelwise bench`: speed beside the libraries that do the same, as ratios measured in one run.

One row is one kernel on one image from one dtype to another. Every contender is checked before anything is timed; a
row where results disagree fails, and so does the command. How time is taken: timing.py; what is compared: cases.py and
rivals/; the columns: benchmarks/README.md. Needs the extra: `pip install kernelwise[bench]`; a rival that is not
installed is named and left out.

>>> from kernelwise.app.bench import main
>>> main(["--only", "no row has this name"])
2
"""

from __future__ import annotations

from .command import main

__all__ = ["main"]
