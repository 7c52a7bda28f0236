"""python -m kernelwise.mxnet program.py [arguments], or -m module [arguments]: runs a program that imports mxnet."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from .naming import install

USAGE = """usage: python -m kernelwise.mxnet program.py [arguments]
       python -m kernelwise.mxnet -m module [arguments]

Runs a program written for MXNet 1.9.1 as it is: `import mxnet` in it finds kernelwise.mxnet.
In a notebook, `%load_ext kernelwise.mxnet` does the same."""


def main() -> None:
    """The program's own arguments and its own sys.path[0], as if Python had been started with it."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        sys.exit(0 if arguments else 2)
    if arguments[0] == "-m":
        if len(arguments) < 2:
            sys.exit("kernelwise.mxnet: -m needs the name of a module\n" + USAGE)
        install()
        sys.argv = arguments[1:]
        sys.path.insert(0, "") if sys.path[0] != "" else None
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    program = Path(arguments[0])
    if not program.exists():
        sys.exit(f"kernelwise.mxnet: there is no program {arguments[0]!r}")
    install()
    sys.argv = arguments
    sys.path[0] = str(program.resolve().parent)
    runpy.run_path(str(program), run_name="__main__")


if __name__ == "__main__":
    main()
