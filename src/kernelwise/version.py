"""The version of kernelwise: the one place where it is written; the packaging and `kernelwise.__version__` read it here."""

VERSION = "0.1.0"
