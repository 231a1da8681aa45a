"""ZIP archives that are read where they are: nothing is unpacked onto the disk, and none grows beyond what it states.

The directory is read once, by the standard library; a member is then read by its offset, from any thread, without a
file that stays open.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from edgeseg.core.errors import DataError

MAX_BYTES = 1 << 29  # of a member: more than the largest picture or annotation file, less than the memory there is
HEADER = struct.Struct("<4s22xHH")  # of a member (APPNOTE.TXT 4.3.7): signature, lengths of its name and extra field
SIGNATURE = b"PK\x03\x04"
ENCRYPTED = 1
AGAIN = "expected a whole ZIP archive: export it again"


class ZipMember(NamedTuple):
    """A file in an archive. `name` is as written there, with / between its parts; it is never a path on this disk."""

    archive: str
    name: str
    offset: int
    packed: int
    size: int
    method: int
    flags: int
    crc: int

    def __str__(self) -> str:
        return f"{self.archive}: {self.name}"

    def read(self) -> bytes:
        """Return its content. Raises DataError if it is encrypted, damaged, too large, or packed in a rare way."""
        if self.flags & ENCRYPTED:
            raise DataError(f"{self}: encrypted; expected an archive without a password: unpack it and pack it again")
        if self.method not in (ZIP_STORED, ZIP_DEFLATED):
            raise DataError(f"{self}: ZIP compression {self.method}; expected 0 or 8 (deflate): pack it again")
        if max(self.size, self.packed) > MAX_BYTES:
            raise DataError(f"{self}: {self.size} bytes; expected at most {MAX_BYTES} in a ZIP archive: unpack it")
        try:
            content = self._unpacked(self._packed())
        except (OSError, ValueError, OverflowError, struct.error, zlib.error) as error:
            raise DataError(f"{self}: cannot be read ({error}); {AGAIN}") from error
        if len(content) != self.size or zlib.crc32(content) != self.crc:
            raise DataError(f"{self}: damaged, its size or checksum is another than the archive states; {AGAIN}")
        return content

    def _packed(self) -> bytes:
        with open(self.archive, "rb") as file:
            file.seek(self.offset)
            signature, *lengths = HEADER.unpack(file.read(HEADER.size))
            if signature != SIGNATURE:
                raise ValueError("no file begins where the archive says")
            file.seek(sum(lengths), 1)
            return file.read(self.packed)

    def _unpacked(self, packed: bytes) -> bytes:
        if self.method == ZIP_STORED:
            return packed
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, self.size + 1)  # 0 would be without limit


class ZipMembers:
    """The files of an archive, by name. Raises DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with ZipFile(path) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        except Exception as error:  # zipfile raises many kinds for a broken directory
            raise DataError(f"{path}: {str(error) or type(error).__name__}; {AGAIN}") from error
        self.members = [
            ZipMember(
                str(path),
                each.filename.replace("\\", "/"),
                each.header_offset,
                each.compress_size,
                each.file_size,
                each.compress_type,
                each.flag_bits,
                each.CRC,
            )
            for each in entries
        ]
        self._folded: dict[str, list[ZipMember]] = {}
        for member in self.members:
            self._folded.setdefault(member.name.casefold(), []).append(member)

    def find(self, name: str) -> ZipMember | None:
        """Return the member of a name; if there is none, the one whose name differs in case alone.

        Raises DataError if several could be meant: on another disk one of them would replace the other.
        """
        alike = self._folded.get(name.casefold(), [])
        exact = [member for member in alike if member.name == name] or alike
        if len(exact) > 1:
            raise DataError(f"{self.path}: {len(exact)} files {exact[0].name!r}; expected one of a name: pack it again")
        return exact[0] if exact else None
