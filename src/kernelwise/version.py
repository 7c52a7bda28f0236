"""The version of kernelwise, in the one place where it is written: the packaging reads it here."""

VERSION = "0.1.0"
