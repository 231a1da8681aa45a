"""The metadata of an ONNX file, read from its bytes: TensorRT and OpenVINO do not hand it over, onnx is not here."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from edgeseg.errors import ModelError

# Field numbers of onnx.proto's ModelProto and StringStringEntryProto; the wire types are protobuf's.
_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_LONGEST_VARINT = 10


def onnx_metadata(path: Path) -> dict[str, str]:
    """Return the `metadata_props` of an ONNX file. The graph is passed over, so that size costs no time.

    Raises:
        ModelError: no such file, or not a whole ONNX file.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        raise ModelError(f"{path}: no such file; expected an ONNX file, or a TensorRT engine from edgeseg engine build")
    try:
        with path.open("rb") as file:
            return dict(_entry(value) for value in _messages(file, _METADATA))
    except (EOFError, UnicodeDecodeError, ValueError) as error:
        raise ModelError(f"{path}: cannot load it, not a whole ONNX file ({error}); export the model again") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot load it ({error.strerror}); give a file that can be read") from error


def _entry(message: bytes) -> tuple[str, str]:
    key, value = ([*_messages(BytesIO(message), number), b""][0] for number in (_KEY, _VALUE))
    return key.decode(), value.decode()


def _messages(file: BinaryIO, wanted: int) -> list[bytes]:
    """Return the length-delimited fields of one number."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
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
            found.append(file.read(length))
        else:
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
