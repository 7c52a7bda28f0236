"""Protocol Buffers' wire format: a field is its number and kind, then a varint, or a length and bytes."""

from __future__ import annotations


def number(field: int, value: int) -> bytes:
    """A field that holds a whole number, not below 0."""
    return _varint(field << 3) + _varint(value)


def message(field: int, value: bytes) -> bytes:
    """A field that holds bytes, or a message made of fields."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def string(field: int, value: str) -> bytes:
    """A field that holds text."""
    return message(field, value.encode())


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])
