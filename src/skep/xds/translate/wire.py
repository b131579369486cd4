"""Protobuf by hand where it pays: packing, and putting serialised parts together without parsing them again.

In: messages or their bytes; out: bytes. A repeated or embedded field is a tag, a length and the part's bytes, so a message
may be assembled from parts that were serialised before.
"""

from hashlib import blake2b
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import Message


def serialize(message: Message) -> bytes:
    """Serialise so that equal messages give equal bytes."""
    return message.SerializeToString(deterministic=True)


def pack(message: Any) -> any_pb2.Any:
    """Wrap a message with its type, deterministically."""
    return any_pb2.Any(type_url=type_url(message), value=serialize(message))


def type_url(message: Any) -> str:
    """Name the type of a message, or of its class, as Envoy does."""
    return f"type.googleapis.com/{message.DESCRIPTOR.full_name}"


def digest(*parts: bytes) -> str:
    """Hash parts: a short text that differs when they do."""
    state = blake2b(digest_size=12)
    for part in parts:
        state.update(part)
    return state.hexdigest()


_ONE_BYTE = tuple(bytes((value,)) for value in range(0x80))


def varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits a byte."""
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    return bytes((value & 0x7F | 0x80,)) + varint(value >> 7)


def field(number: int, value: bytes) -> bytes:
    """Encode one length-delimited field: a string, bytes or an embedded message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def any_bytes(url: str, value: bytes) -> bytes:
    """Serialise an `Any` around bytes that are serialised already."""
    return field(1, url.encode()) + field(2, value)
