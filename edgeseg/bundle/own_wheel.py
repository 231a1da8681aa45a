"""edgeseg's own wheel: built where this is a checkout, put together again where it was installed from one."""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

import edgeseg
from edgeseg.bundle.pip import build_isolation, run_pip
from edgeseg.core.errors import UsageError

SOURCES = ("edgeseg", "export", "runtime", "jetson", "pyproject.toml", "README.md", "LICENSE")
_NOT_OF_THE_WHEEL = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json")
_DATE = (1980, 1, 1, 0, 0, 0)


def own_wheel(folder: Path) -> Path:
    """Put edgeseg's wheel into a folder. Raises UsageError if it cannot be made."""
    root = Path(edgeseg.__file__).resolve().parent.parent
    if (root / "pyproject.toml").is_file() and (root / "runtime").is_dir():
        return wheel_of_checkout(root, folder)
    return wheel_of_installation(metadata.distribution("edgeseg"), folder)


def wheel_of_checkout(root: Path, folder: Path) -> Path:
    """Build the wheel from a copy: a build folder left in the tree would leak removed modules into the next.

    Raises:
        UsageError: it cannot be built; with the last line of why.
    """
    tree = folder.with_name(f"{folder.name}.tree")
    tree.mkdir()
    try:
        for name in SOURCES:
            if (root / name).is_dir():
                shutil.copytree(root / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(root / name, tree / name)
        run_pip(
            "wheel", "--no-deps", *build_isolation(), "--wheel-dir", str(folder), str(tree),
            remedy="edgeseg's own wheel is built by setuptools: pip install 'setuptools>=77'",
        )  # fmt: skip
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    (wheel,) = folder.glob("edgeseg-*.whl")
    return wheel


def wheel_of_installation(installed: metadata.Distribution, folder: Path) -> Path:
    """Put the files of an installed wheel together again (the wheel format: PEP 427).

    Raises:
        UsageError: the installation is not whole, or is no wheel's.
    """
    files = {}
    # Not `installed.files`, which since Python 3.12 leaves out what is missing.
    for name, *_ in csv.reader((installed.read_text("RECORD") or "").splitlines()):
        path = PurePosixPath(name)
        if path.parts[0] == ".." or "__pycache__" in path.parts or path.name in _NOT_OF_THE_WHEEL:
            continue  # commands, bytecode and notes of the installer
        try:
            files[name] = Path(str(installed.locate_file(name))).read_bytes()
        except OSError as error:
            raise UsageError(f"{name} of edgeseg cannot be read ({error.strerror}); install edgeseg again") from error
    if "edgeseg/runtime/__main__.py" not in files:
        raise UsageError("edgeseg is installed from elsewhere than a wheel; make the bundle in the checkout")
    stem = f"edgeseg-{installed.version}"
    record = "".join(f"{name},{_hash(content)},{len(content)}\n" for name, content in sorted(files.items()))
    files[f"{stem}.dist-info/RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n".encode()
    wheel = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files, key=lambda name: (".dist-info/" in name, name)):  # the metadata last, as PEP 427 asks
            head = zipfile.ZipInfo(name, _DATE)
            head.compress_type, head.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(head, files[name])
    return wheel


def _hash(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
