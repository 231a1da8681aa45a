"""Python packages as files: what they are, what they need, and whether a device takes them."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from edgeseg.bundle.targets import FOREIGN, NUMPY, Target
from edgeseg.core.errors import UsageError
from edgeseg.core.toml import parse_toml


@dataclass(frozen=True)
class Package:
    """A wheel or a source archive.

    Attributes:
        name: as PEP 503 normalises it.
        version: as its file has it.
        path: the file.
        python: the versions of Python that it is for.
        requires: what it says it needs, of whatever system.
        builds_with: what compiles it; empty for a wheel.
        licence: as it says itself, on one line; empty where it does not.
    """

    name: str
    version: str
    path: Path
    python: SpecifierSet
    requires: tuple[Requirement, ...]
    builds_with: tuple[Requirement, ...] = ()
    licence: str = ""

    @property
    def is_source(self) -> bool:
        return self.path.suffix != ".whl"


class Need(NamedTuple):
    """A requirement of a package that holds on the device."""

    package: Package
    requirement: Requirement

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)


def read_package(path: Path) -> Package:
    """Read a wheel (.whl) or a source archive (.tar.gz). Raises UsageError if it is neither."""
    try:
        metadata, build = _wheel_texts(path) if path.suffix == ".whl" else _source_texts(path)
        head = HeaderParser().parsestr(metadata)
        name, version = str(head["Name"] or ""), str(head["Version"] or "")
        python = SpecifierSet(str(head["Requires-Python"] or ""))
        requires = tuple(Requirement(text) for text in head.get_all("Requires-Dist", []))
        builds_with = tuple(Requirement(text) for text in build)
    except (OSError, EOFError, LookupError, ValueError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise UsageError(f"{path}: no whole Python package ({error}); download it again") from error
    if not name or not version:
        raise UsageError(f"{path}: a Python package without a name or version; download it again")
    return Package(canonicalize_name(name), version, path, python, requires, builds_with, _licence(head))


def _licence(head: Message) -> str:
    """Return what core metadata say: the expression (PEP 639), the short text, or the classifiers."""
    text = str(head["License-Expression"] or head["License"] or "").strip()
    if text and len(text) <= 100 and text.isprintable():
        return text
    classifiers = (str(each) for each in head.get_all("Classifier", []))
    return ", ".join(each.rpartition(" :: ")[2] for each in classifiers if each.startswith("License :: "))


def _wheel_texts(path: Path) -> tuple[str, list[str]]:
    with zipfile.ZipFile(path) as archive:
        (metadata,) = [
            name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and _depth(name) == 1
        ]
        return archive.read(metadata).decode(), []


def _source_texts(path: Path) -> tuple[str, list[str]]:
    texts = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("./")
            if _depth(name) == 1 and name.endswith(("/PKG-INFO", "/pyproject.toml")):
                file = archive.extractfile(member)
                texts[name.rpartition("/")[2]] = file.read().decode() if file else ""
    project = parse_toml(texts.get("pyproject.toml", ""), f"{path}, pyproject.toml", "a [build-system]")
    # PEP 518: what a source without a word of it is built with.
    build = project.get("build-system", {}).get("requires", ["setuptools>=40.8.0"])
    return texts["PKG-INFO"], list(build)


def _depth(name: str) -> int:
    return name.count("/")


def fits(path: Path, target: Target) -> bool:
    """Whether a wheel is for the device, by the tags in its name (PEP 425). Raises UsageError for no wheel's name."""
    try:
        return not parse_wheel_filename(path.name)[3].isdisjoint(_tags(target))
    except InvalidWheelFilename as error:
        raise UsageError(
            f"{path}: {error}; expected NAME-VERSION-PYTHON-ABI-PLATFORM.whl as it was downloaded"
        ) from error


def _tags(target: Target) -> set[Tag]:
    interpreter = f"cp{target.python[0]}{target.python[1]}"
    version = target.python[:2]
    own = cpython_tags(version, [interpreter], target.platforms)
    return {*own, *compatible_tags(version, interpreter, target.platforms)}


def needs(packages: Iterable[Package], target: Target) -> list[Need]:
    """Return what packages need on the device while they run.

    The markers are judged for the device: pip judges them for the Python that runs it, whatever platform it is asked
    for (github.com/pypa/pip/issues/11664), and would leave out tomli.
    """
    held = list(packages)
    extras: dict[str, frozenset[str]] = {}
    while True:  # an extra that is asked for may ask for others
        found = [
            Need(package, requirement)
            for package in held
            for requirement in package.requires
            if any(_holds(requirement, target, extra) for extra in {"", *extras.get(package.name, ())})
        ]
        asked = {need.name: frozenset[str]() for need in found}
        for need in found:
            asked[need.name] |= need.requirement.extras
        if asked == extras:
            return found
        extras = asked


def build_needs(packages: Iterable[Package], target: Target) -> Iterator[Need]:
    """Yield what compiles packages on the device."""
    for package in packages:
        for requirement in package.builds_with:
            if _holds(requirement, target):
                yield Need(package, requirement)


def _holds(requirement: Requirement, target: Target, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**target.markers, "extra": extra})


def refuse_foreign(name: str, what: str, target: Target) -> None:
    """Raise UsageError for a package that would hide one of the device's own; `what` begins the message."""
    if name.startswith(FOREIGN):
        own = "cv2" if name.startswith("opencv") else "tensorrt"
        raise UsageError(f"{what} would hide {target.title}'s own {own}, which was built for the device; leave it out")


def check_packages(held: Mapping[str, Package], target: Target) -> None:
    """Raise UsageError unless all that packages need is there, in a version that they take, and nothing is foreign."""
    for name, package in held.items():
        refuse_foreign(name, package.path.name, target)
        if not package.python.contains(target.markers["python_full_version"]):
            raise UsageError(
                f"{package.path.name} is for Python {package.python}; {target.title} has {target.python_text}"
            )
    numpy = held.get("numpy")
    if numpy and not SpecifierSet(NUMPY).contains(numpy.version, prereleases=True):
        raise UsageError(
            f"{numpy.path.name}: {target.title}'s cv2 was built against NumPy 1; expected a version {NUMPY}"
        )
    for need in (*needs(held.values(), target), *build_needs(held.values(), target)):
        found = held.get(need.name)
        version = found.version if found else "none"
        if found is None or not need.requirement.specifier.contains(version, prereleases=True):
            raise UsageError(
                f"{need.package.path.name} needs {_without_marker(need.requirement)}, the bundle has {version}; "
                f"put a wheel for {target.title} that fits into --wheels"
            )


def _without_marker(requirement: Requirement) -> str:
    return f"{requirement.name}{requirement.specifier}"


def requirement_for(need: Need, target: Target) -> str:
    """Return what to ask pip for: the table's version, else any that the package takes."""
    pin = target.pins.get(need.name)
    return f"{need.name}=={pin}" if pin else _without_marker(need.requirement)
