"""Reads protobuf messages field by field, without their schema: enough for an ONNX file.

A protobuf message is a sequence of ``(field number, value)`` pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types


class NotProtobufError(Exception):
    """The bytes are no protobuf message, or a field has another type than expected."""


def text(value: int | memoryview) -> str:
    """Return the value of a string field.

    Raises:
        NotProtobufError: It is a number.
        UnicodeDecodeError: It is not UTF-8.
    """
    if isinstance(value, int):
        raise NotProtobufError
    return bytes(value).decode()


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message: varints as numbers, all others as a view of their bytes.

    Raises:
        NotProtobufError: The bytes are cut short, or hold an unknown wire type.
    """
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if wire == _BYTES:
            length, at = _varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise NotProtobufError
        if at + length > end:
            raise NotProtobufError
        yield key >> 3, message[at : at + length]
        at += length


def varints(packed: memoryview) -> Iterator[int]:
    """Yield the numbers of a packed repeated field of varints, each as an unsigned number of 64 bits.

    Raises:
        NotProtobufError: The bytes are cut short.
    """
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise NotProtobufError
