"""CVAT's annotation files and their pictures, on the disk or in a ZIP archive.

Pictures lie in `images/`, in a folder of the subset there, or beside the annotation file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from edgeseg.core.errors import DataError
from edgeseg.data.cvat.annotation import EXPECTED, CvatFile, CvatFrame
from edgeseg.data.cvat.zip_members import ZipMember, ZipMembers
from edgeseg.data.reading.listing import IMAGE_SUFFIXES, files_in
from edgeseg.data.reading.lookup import find_image
from edgeseg.data.reading.pictures import read_bytes

FRAME = re.compile(r"frame_([0-9]{6,9})$")  # as CVAT names the pictures of a video


class FolderPictures:
    """Pictures on the disk, in the folders where CVAT puts them, or in one that is named."""

    def __init__(self, root: Path, beside: Path, named: str = "") -> None:
        self.root = root
        self._bases = [root / named] if named else list(dict.fromkeys((beside, root)))
        self._named = bool(named)

    def find(self, frame: CvatFrame) -> Path | None:
        """Return a frame's picture. Raises DataError if several could be meant."""
        stems, hints = ([frame.name], []) if _is_stem(frame.name) else ([], [frame.name])
        return find_image(self.root, self._folders(frame.subset), hints, stems)

    def numbers(self, subset: str) -> set[int]:
        """Return the numbers of the frames of a video that are there."""
        names = (each.name for folder in self._folders(subset) if folder.is_dir() for each in folder.iterdir())
        return _numbers(names)

    def _folders(self, subset: str) -> list[Path]:
        plain = _plain(subset)
        below = [("images", plain), ("images",), (plain,), ()] if not self._named else [(plain,), ()]
        return list(dict.fromkeys(base.joinpath(*parts) for base in self._bases for parts in below))


class ZipPictures:
    """Pictures in the archive that the CVAT file is in."""

    def __init__(self, members: ZipMembers, beside: str) -> None:
        self._members = members
        self._bases = list(dict.fromkeys((beside, "")))

    def find(self, frame: CvatFrame) -> ZipMember | None:
        """Return a frame's picture. Raises DataError if several could be meant."""
        name = frame.name.replace("\\", "/")
        suffixes = IMAGE_SUFFIXES if _is_stem(name) else ("",)
        for folder in self._folders(frame.subset):
            found = next(filter(None, (self._members.find(f"{folder}{name}{each}") for each in suffixes)), None)
            if found and PurePosixPath(found.name).suffix.lower() in IMAGE_SUFFIXES:
                return found
        return None

    def numbers(self, subset: str) -> set[int]:
        """Return the numbers of the frames of a video that are there."""
        folders = self._folders(subset)
        parts = (member.name.rpartition("/") for member in self._members.members)
        return _numbers(name for folder, slash, name in parts if folder + slash in folders)

    def _folders(self, subset: str) -> list[str]:
        below = (f"images/{_plain(subset)}/", "images/", f"{_plain(subset)}/", "")
        return list(
            dict.fromkeys(f"{base}{part}".replace("//", "/").lstrip("/") for base in self._bases for part in below)
        )


class CvatSource(NamedTuple):
    """An annotation file, what its pictures' names have before them to tell drives, and where they are."""

    file: CvatFile
    prefix: str
    pictures: FolderPictures | ZipPictures


def cvat_sources(path: Path, argument: str, images: str) -> list[CvatSource]:
    """Return what a path names: an annotation file, an archive, or all those of a folder; at least one.

    Args:
        path: where it is.
        argument: what the user wrote.
        images: the folder of the pictures, below the data; empty if they are where CVAT puts them.

    Raises:
        DataError: nothing of the kind is there, or it cannot be read.
    """
    if path.is_dir():
        sources = [source for file in _files(path) for source in _opened(file, path, images, path)]
    elif path.is_file():
        sources = _opened(path, path.parent, images, path)
    else:
        raise DataError(f"{argument or 'no path'}: no such file; expected {EXPECTED} in a ZIP archive or a folder")
    if not sources:
        raise DataError(f"{argument}: no XML file; expected {EXPECTED}, annotations.xml, or a ZIP archive with it")
    return sources


def _files(folder: Path) -> Sequence[Path]:
    """Return the annotation files of a folder: those of CVAT's name, else any XML, else archives."""
    found = files_in(folder, ".xml")
    named = [path for path in found if path.name.lower() == "annotations.xml"]
    return named or found or files_in(folder, ".zip")


def _opened(path: Path, root: Path, images: str, given: Path) -> list[CvatSource]:
    prefix = path.parent.relative_to(root).as_posix().removeprefix(".")
    if path.suffix.lower() != ".zip":
        file = CvatFile(read_bytes(path), str(path))
        return [CvatSource(file, prefix, FolderPictures(root, path.parent, images))]
    members = ZipMembers(path)
    visible = [each for each in members.members if not re.search(r"(^|/)(\.|__MACOSX/)", each.name)]
    found = [each for each in visible if each.name.lower().endswith(".xml")]
    named = [each for each in found if each.name.lower().rpartition("/")[2] == "annotations.xml"]
    archive = "" if path == given else path.stem  # frames of several archives have equal names: they are several drives
    sources = []
    for each in named or found:
        beside = each.name.rpartition("/")[0]
        pictures = FolderPictures(root, root, images) if images else ZipPictures(members, beside and f"{beside}/")
        own = "/".join(part for part in (prefix, archive, beside) if part)
        sources.append(CvatSource(CvatFile(each.read(), str(each)), own, pictures))
    return sources


def _is_stem(name: str) -> bool:
    """Return whether a name lacks the suffix of a picture, as those of videos do, and leads nowhere else."""
    path = PurePosixPath(name.replace("\\", "/"))
    leads_out = path.is_absolute() or ".." in path.parts
    return bool(name) and path.suffix.lower() not in IMAGE_SUFFIXES and not leads_out


def _plain(subset: str) -> str:
    """Return a subset's folder; a name that leads elsewhere is none."""
    return subset if subset not in (".", "..") and not re.search(r"[/\\\0]", subset) else ""


def _numbers(names: Iterable[str]) -> set[int]:
    paths = (PurePosixPath(name) for name in names)
    matches = (FRAME.match(path.stem) for path in paths if path.suffix.lower() in IMAGE_SUFFIXES)
    return {int(match[1]) for match in matches if match}
