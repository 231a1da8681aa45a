"""Unpack an archive of `edgeseg bundle` into an empty folder of root's own: `unpack.py ARCHIVE FOLDER`.

Prints the name of the one folder that it holds. It takes what `edgeseg bundle` writes, plain files and folders with
plain names, and nothing of an archive but names and contents: no links, devices, owners, modes or times, so that no
byte lands elsewhere. Whatever else it holds ends it with 1 and one line on standard output. Standard library alone.
"""

from __future__ import annotations

import gzip
import os
import re
import resource
import shutil
import sys
import tarfile

PART = re.compile(r"[0-9A-Za-z_][0-9A-Za-z@._+!-]{0,199}", re.ASCII)
MOST, DEEPEST, LARGEST = 20_000, 8, 16 << 30
ROOM_LEFT = 200 << 20
"""Bytes that stay free: a full disk would stop more than this."""
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_CHUNK = 1 << 20
_MEMORY = 2 << 30
_PADDING = 1 << 20
_MEGABYTES_A_SECOND = 1


class UnusableError(Exception):
    """What is wrong with it, on one line."""


def unpack(archive: str, folder: str) -> str:
    """Return the name of the folder in the archive. Raises UnusableError, and what `tarfile` raises for odd bytes."""
    tops: set[str] = set()
    room = max(0, min(LARGEST, shutil.disk_usage(folder).free - ROOM_LEFT))
    with gzip.open(archive) as packed:
        with tarfile.open(fileobj=packed, mode="r|") as members:
            for number, member in enumerate(members):
                parts = check(member, number)
                tops.add(parts[0])
                if len(tops) > 1:
                    raise UnusableError("holds more than one folder; expected one, as `edgeseg bundle` writes")
                room -= member.size
                if room < 0:
                    raise UnusableError("holds more than fits here; make room, or set TMPDIR to another folder")
                put(members, member, os.path.join(folder, *parts))
        if len(packed.read(_PADDING)) == _PADDING:  # to the checksum behind the last file
            raise UnusableError("goes on behind its end; copy it again")
    if not tops:
        raise UnusableError("is empty; copy it again")
    return tops.pop()


def check(member: tarfile.TarInfo, number: int) -> list[str]:
    """Return the parts of a member's name."""
    parts = member.name.split("/")
    if number >= MOST or len(parts) > DEEPEST or not all(PART.fullmatch(part) for part in parts):
        raise UnusableError(f"{shown(member.name)} is not of a bundle")
    if member.isdir() and not member.size:
        return parts
    if member.type not in _PLAIN or member.issparse() or member.size < 0 or len(parts) < 2:
        raise UnusableError(f"{shown(member.name)} is no plain file in a folder")
    return parts


def put(members: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    """Make a folder or write a file, which must be new."""
    if member.isdir():
        os.makedirs(path, 0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    mode = 0o755 if path.endswith(".sh") else 0o644
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    except FileExistsError as error:
        raise UnusableError(f"{shown(member.name)} is there twice") from error
    with os.fdopen(file, "wb") as target:
        left, content = member.size, members.extractfile(member)
        while left:
            piece = content.read(min(left, _CHUNK)) if content else b""
            if not piece:
                raise UnusableError(f"ends within {shown(member.name)}; copy it again")
            target.write(piece)
            left -= len(piece)


def shown(text: str) -> str:
    """Return a text on one line, in ASCII, cut where it is long."""
    text = ascii(text)[1:-1]
    return text if len(text) <= 100 else text[:100] + "..."


def limit(archive: str) -> None:
    """Bound what a crafted archive can cost: this process ends, and nothing else."""
    seconds = 30 + os.path.getsize(archive) // (_MEGABYTES_A_SECOND << 20)
    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, seconds)):
        _, hard = resource.getrlimit(what)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(what, (most, hard))


def main(archive: str, folder: str) -> int:
    try:
        limit(archive)
        print(unpack(archive, folder))
    except UnusableError as error:
        print(error)
        return 1
    except Exception as error:  # `tarfile` has raised nearly everything for crafted headers
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        print(f"cannot be unpacked ({shown(reason)}); copy it again, or make room")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
