"""Metadata, node names and checksum of an ONNX file, from its bytes: no runtime hands them over, onnx is not here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from edgeseg.core.errors import ModelError

# Field numbers of onnx.proto's ModelProto, StringStringEntryProto, GraphProto, NodeProto and what describes a tensor.
_GRAPH, _OPSETS, _METADATA, _KEY, _VALUE = 7, 8, 14, 1, 2
_NODE, _NAME, _OPERATOR = 1, 3, 4
_VALUE_INFO, _INFO_NAME, _TYPE, _TENSOR, _SHAPE, _DIMENSION, _LENGTH_OF = 13, 1, 2, 1, 2, 1, 1
# The wire types are protobuf's.
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10
_CHUNK = 1 << 20


def onnx_metadata(path: Path) -> dict[str, str]:
    """Return the `metadata_props` of an ONNX file. The graph is passed over, so that size costs no time.

    Raises:
        ModelError: no such file, or not a whole ONNX file.
    """
    with _opened(path) as file:
        return dict(_entry(value) for value in _messages(file, _METADATA))


def graph_sha256(path: Path) -> str:
    """Return the SHA-256, in hexadecimal, of the graph and of the operator sets that it is written in.

    That is of the bytes of ModelProto's fields 7 (graph) and 8 (opset_import), in this order.

    Raises:
        ModelError: no such file, or not a whole ONNX file.
    """
    digest = hashlib.sha256()
    with _opened(path) as file:
        for number in (_GRAPH, _OPSETS):
            for start, length in _places(file, number, 0, file.seek(0, os.SEEK_END)):
                file.seek(start)
                for done in range(0, length, _CHUNK):
                    digest.update(file.read(min(_CHUNK, length - done)))
    return digest.hexdigest()


def metadata_entry(key: str, value: str) -> bytes:
    """Return what, appended to an ONNX file, adds a text to its metadata: joined protobuf messages are one."""
    entry = b"".join(_field(number, text.encode()) for number, text in ((_KEY, key), (_VALUE, value)))
    return _field(_METADATA, entry)


def inner_shape(path: Path, name: str) -> tuple[int | None, ...] | None:
    """Return the shape of an inner tensor, if the graph states it (`value_info`); None for a dimension without number.

    Raises:
        ModelError: no such file, or not a whole ONNX file.
    """
    with _opened(path) as file:
        for start, length in _places(file, _GRAPH, 0, file.seek(0, os.SEEK_END)):
            for info, size in _places(file, _VALUE_INFO, start, start + length):
                file.seek(info)
                message = file.read(size)
                if _inside(message, _INFO_NAME) == name.encode():
                    shape = _inside(message, _TYPE, _TENSOR, _SHAPE)
                    return tuple(_number(each, _LENGTH_OF) for each in _messages(BytesIO(shape), _DIMENSION))
    return None


def onnx_operators(path: Path) -> dict[str, str]:
    """Return the operator of each node of an ONNX file's graph by the node's name; weights are passed over.

    Raises:
        ModelError: no such file, or not a whole ONNX file.
    """
    found = {}
    with _opened(path) as file:
        for start, length in _places(file, _GRAPH, 0, file.seek(0, os.SEEK_END)):
            for node, size in _places(file, _NODE, start, start + length):
                file.seek(node)
                message = BytesIO(file.read(size))
                name, operator = ([*_messages(message, number), b""][0] for number in (_NAME, _OPERATOR))
                found[name.decode()] = operator.decode()
    return found


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        raise ModelError(f"{path}: no such file; expected an ONNX file, or a TensorRT engine from edgeseg engine build")
    try:
        with path.open("rb") as file:
            yield file
    except (EOFError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path}: cannot load it, not a whole ONNX file ({error}); export the model again") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot load it ({error.strerror}); give a file that can be read") from error


def _entry(message: bytes) -> tuple[str, str]:
    key, value = ([*_messages(BytesIO(message), number), b""][0] for number in (_KEY, _VALUE))
    return key.decode(), value.decode()


def _inside(message: bytes, *numbers: int) -> bytes:
    """Return the first field of a number, the first field of the next number in it, and so on; empty if not there."""
    for number in numbers:
        message = [*_messages(BytesIO(message), number), b""][0]
    return message


def _number(message: bytes, wanted: int) -> int | None:
    """Return a varint field of a message of nothing but varints and texts."""
    file, found = BytesIO(message), None
    while file.tell() < len(message):
        number, kind = divmod(_varint(file), 8)
        value = _varint(file)
        if kind == _LENGTH:
            file.seek(value, os.SEEK_CUR)
        elif number == wanted:
            found = value
    return found


def _field(number: int, content: bytes) -> bytes:
    return _written(number * 8 + _LENGTH) + _written(len(content)) + content


def _written(value: int) -> bytes:
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def _messages(file: BinaryIO, wanted: int) -> list[bytes]:
    """Return the length-delimited fields of one number."""
    found = []
    for start, length in _places(file, wanted, 0, file.seek(0, os.SEEK_END)):
        file.seek(start)
        found.append(file.read(length))
    return found


def _places(file: BinaryIO, wanted: int, start: int, end: int) -> list[tuple[int, int]]:
    """Return where the length-delimited fields of one number begin within a message, and their lengths."""
    file.seek(start)
    found = []
    while file.tell() < end:
        number, kind = divmod(_varint(file), 8)
        length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind, 0)
        if kind in (_VARINT, _LENGTH):
            value = _varint(file)
            length = value if kind == _LENGTH else 0
        elif not length:
            raise ValueError(f"wire type {kind}")
        if file.tell() + length > end:
            raise EOFError("cut off")
        if number == wanted and kind == _LENGTH:
            found.append((file.tell(), length))
        file.seek(length, os.SEEK_CUR)
    return found


def _varint(file: BinaryIO) -> int:
    value = 0
    for index in range(_LONGEST_VARINT):
        byte = file.read(1)
        if not byte:
            raise EOFError("cut off")
        value |= (byte[0] & 127) << (7 * index)
        if byte[0] < 128:
            return value
    raise ValueError("no varint")
