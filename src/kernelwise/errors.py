"""Every exception that kernelwise raises on purpose, in one tree.

KernelwiseError
 +-- ArgumentError      (ValueError)     an argument has a value that is not allowed
 +-- ArgumentTypeError  (TypeError)      an argument is of a kind that is not allowed
 +-- RangeError         (OverflowError)  an exact integer result does not fit in 64 bits
 +-- FileError          (OSError)        a file cannot be read or written
 +-- EngineError        (RuntimeError)   generated code could not be built or started

A message names the argument in backticks, says what is allowed and shows what was given.
"""

from __future__ import annotations


class KernelwiseError(Exception):
    """Base of all errors raised by kernelwise."""


class ArgumentError(KernelwiseError, ValueError):
    """An argument has a value that is not allowed."""


class ArgumentTypeError(KernelwiseError, TypeError):
    """An argument is of a kind that is not allowed."""


class RangeError(KernelwiseError, OverflowError):
    """An exact integer result does not fit in 64 bits."""


class FileError(KernelwiseError, OSError):
    """A file cannot be read or written."""


class EngineError(KernelwiseError, RuntimeError):
    """Generated code could not be built or started."""
