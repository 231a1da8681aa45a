"""TFRecord files without TensorFlow, which takes four seconds to import: framing, and an index by offset.

A record is the length of its data (8 bytes, little endian), the masked CRC-32C of these 8 bytes, the data, and the
masked CRC-32C of the data (tensorflow/core/lib/io/record_writer.h). So no flipped byte goes unseen.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import google_crc32c

from edgeseg.core.errors import DataError

HEADER = struct.Struct("<QI")
LENGTH = struct.Struct("<Q")
CRC = struct.Struct("<I")
MASK_DELTA = 0xA282EAD8
COMPRESSED = {b"\x1f\x8b": "GZIP", b"\x78\x01": "ZLIB", b"\x78\x9c": "ZLIB", b"\x78\xda": "ZLIB"}
REMEDY = "write or copy the file again"


def write_record(file: IO[bytes], data: bytes) -> int:
    """Append a record and return how many bytes it takes."""
    length = LENGTH.pack(len(data))
    for part in (length, CRC.pack(_masked_crc(length)), data, CRC.pack(_masked_crc(data))):
        file.write(part)
    return framed_size(len(data))


def framed_size(data_size: int) -> int:
    """Return how many bytes a record with so many bytes of data takes."""
    return HEADER.size + data_size + CRC.size


def read_record(path: Path, offset: int) -> bytes:
    """Return the data of the record that begins at a byte. Raises DataError, naming file and byte."""
    where = f"{path}: byte {offset}"
    try:
        with path.open("rb", buffering=0) as file:
            length = _data_length(file, offset, where)
            data = file.read(length)
            crc = file.read(CRC.size)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); expected a TFRecord file") from error
    if len(data) < length or len(crc) < CRC.size:
        raise _cut_short(where)
    if _masked_crc(data) != CRC.unpack(crc)[0]:
        raise DataError(f"{where}: the record's checksum is wrong; expected {length} bytes as written: {REMEDY}")
    return data


def record_offsets(path: Path) -> Iterator[int]:
    """Yield where each record begins; the data are not read.

    Raises:
        DataError: after the last record that can be found, if the file does not end with it.
    """
    try:
        with path.open("rb", buffering=0) as file:
            _refuse_compressed(file, path)
            offset, size = 0, os.fstat(file.fileno()).st_size
            while offset < size:
                length = _data_length(file, offset, f"{path}: byte {offset}")
                yield offset
                offset += framed_size(length)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); expected a TFRecord file") from error


def _data_length(file: IO[bytes], offset: int, where: str) -> int:
    """Read a record's header and return how many bytes of data follow."""
    file.seek(offset)
    header = file.read(HEADER.size)
    if len(header) < HEADER.size:
        raise _cut_short(where)
    length, crc = HEADER.unpack(header)
    if _masked_crc(header[: LENGTH.size]) != crc:
        raise DataError(f"{where}: no record begins here (the checksum of its length is wrong): {REMEDY}")
    if offset + framed_size(length) > os.fstat(file.fileno()).st_size:
        raise _cut_short(where)
    return int(length)


def _cut_short(where: str) -> DataError:
    return DataError(f"{where}: the file ends within this record; expected a whole one: {REMEDY}")


def _refuse_compressed(file: IO[bytes], path: Path) -> None:
    start = file.read(HEADER.size)
    kind = COMPRESSED.get(start[:2])
    if kind and (len(start) < HEADER.size or _masked_crc(start[: LENGTH.size]) != HEADER.unpack(start)[1]):
        raise DataError(
            f"{path}: byte 0: compressed ({kind}); expected plain TFRecords: write them without compression"
        )


def _masked_crc(data: bytes) -> int:
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF
