"""The console entry `kernelwise`. It needs nothing but the standard library, so that it can say what is missing."""

from __future__ import annotations

import sys

from . import INTERRUPTED

EXTRA = {"PIL": "Pillow", "matplotlib": "Matplotlib", "rich": "rich", "tifffile": "tifffile", "typer": "typer"}


def main() -> int:
    """Run the command line on `sys.argv` and return the exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.

    A library of the `app` extra that is not installed is answered with the line that installs it.

    >>> from kernelwise.app.cli import main
    >>> main.__name__
    'main'
    """
    try:
        # What cannot be written in the terminal's encoding is written as "?" instead of ending the program.
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        from .commands import app

        app(prog_name="kernelwise")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in EXTRA:
            raise
        print(f"kernelwise: this command needs {EXTRA[missing]}: pip install kernelwise[app]", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
