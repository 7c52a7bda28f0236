"""``python -m kernelwise``: the command line."""

from .app.cli import main

main()
