"""`python -m kernelwise.app.bench`."""

import sys

from .command import main

sys.exit(main())
