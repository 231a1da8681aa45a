"""The archive of a bundle: equal content gives equal bytes, and what is changed later is found by its name."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from edgeseg.bundle.contents import BILL, CARD, MANIFEST, Contents
from edgeseg.bundle.pip import EPOCH
from edgeseg.core.errors import UsageError, one_line

SUMS = "SHA256SUMS"
_MOST_OF_A_TEXT = 8 << 20
_CHUNK = 1 << 20


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return _sha256(file)


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def files_of(folder: Path) -> list[str]:
    """Return the files in a folder, relative, in a fixed order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def sums(folder: Path) -> str:
    """Return the checksums of all files but SHA256SUMS, as `sha256sum --check` reads them."""
    return "".join(f"{sha256(folder / name)}  {name}\n" for name in files_of(folder) if name != SUMS)


def pack(folder: Path, target: Path) -> None:
    """Write a folder as a .tar.gz: sorted, of one date, owned by root. Raises OSError."""
    with (
        target.open("wb") as file,
        gzip.GzipFile("", "wb", 6, cast("IO[bytes]", file), mtime=0) as packed,  # no name and no date in it
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted([folder, *folder.rglob("*")]):
            head = tarfile.TarInfo(path.relative_to(folder.parent).as_posix())
            head.mtime = EPOCH
            is_program = path.suffix == ".sh"
            head.mode = 0o755 if path.is_dir() or is_program else 0o644
            if path.is_dir():
                head.type = tarfile.DIRTYPE
                archive.addfile(head)
            else:
                head.size = path.stat().st_size
                with path.open("rb") as content:
                    archive.addfile(head, content)


def verify(path: Path) -> Contents:
    """Read a bundle and hold every file against its checksum. Unpacks nothing.

    Raises:
        UsageError: a file is changed, missing or additional, named; or it is no bundle.
    """
    name = ""
    texts: dict[str, str] = {}
    try:
        with gzip.open(path) as packed:
            found: dict[str, str] = {}
            with tarfile.open(fileobj=packed, mode="r|") as archive:
                for name, content in _files(archive, path):
                    if name in found:
                        raise UsageError(f"{path}: {name} is there twice; make it again")
                    if name in (SUMS, MANIFEST, BILL) or name.endswith(CARD):
                        texts[name] = content.read(_MOST_OF_A_TEXT).decode()
                        found[name] = hashlib.sha256(texts[name].encode()).hexdigest()
                    else:
                        found[name] = _sha256(content)
            found.pop(SUMS, "")
            _compare(path, found, _read_sums(texts.get(SUMS, ""), path))
            while packed.read(_CHUNK):  # to the checksum behind the last file
                pass
    except (OSError, EOFError, zlib.error, tarfile.TarError, UnicodeDecodeError) as error:
        where = f"damaged at {name}" if name else "no bundle"
        raise UsageError(f"{path}: {where} ({one_line(error)}); copy or make it again") from error
    return Contents(path, len(found), texts)


def _compare(path: Path, found: dict[str, str], expected: dict[str, str]) -> None:
    for what, names in (
        ("changed", {name for name in found.keys() & expected.keys() if found[name] != expected[name]}),
        ("missing", expected.keys() - found.keys()),
        ("not of this bundle", found.keys() - expected.keys()),
    ):
        if names:
            raise UsageError(f"{path}: {what}: {', '.join(sorted(names))}; copy or make it again")


def _files(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the files with their names in the bundle's one folder."""
    tops = set()
    for member in archive:
        top, _, name = member.name.partition("/")
        tops.add(top)
        content = archive.extractfile(member) if member.isreg() else None
        if len(tops) > 1 or ".." in name.split("/") or not (content or member.isdir()):
            raise UsageError(f"{path}: {member.name} is not of a bundle, one folder of plain files; make it again")
        if content:
            yield name, content


def _read_sums(text: str, path: Path) -> dict[str, str]:
    pairs = [line.split("  ", 1) for line in text.splitlines()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise UsageError(f"{path}: {SUMS} cannot be read; copy or make it again")
    return {name: digest for digest, name in pairs}
