"""Bundles that somebody made on purpose: manifests, lists and archives of every sort, from a seed."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.helpers.stub_bundle import sha256sums

CANARY = "/canary"
TEXTS = (
    "", " ", "-rf", "--root=/", ".", "..", "../../etc", "/etc/shadow", f"$(touch {CANARY})", f"`touch {CANARY}`",
    f"a[$(touch {CANARY})]", f"x; touch {CANARY}", f"|touch {CANARY}", f"\ntouch {CANARY}\n", "a\nb", "\x1b[2J", "\0",
    "%s%n", "*", "~root", "\\", "'", '"', "é", "\udcff", "9" * 400, "0x10", "08", "-1", "1e999", "true", "jetpack6\n",
    "3.10\n", "x" * 70_000, "model/../../../etc/passwd.onnx", f"model/$(touch {CANARY}).onnx", "id-net-2",
)  # fmt: skip
VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2, 1.0, 1e308, 10**30, float("nan"), float("inf"), [], {}, [[]], {"": {}}, *TEXTS,
)  # fmt: skip
RAW = (
    b"", b"\xef\xbb\xbf{}", b"null", b"[]", b"1", b'"x"', b"{", b"[" * 100_000, b'{"a":' * 5_000, b"1" * 10_000,
    b'{"format":1,"format":2}', b"\xff\xfe{\0}\0", b"NaN", b"\0" * 5_000, b"x" * (2 << 20),
)  # fmt: skip
LINES = (
    *(f"{'0' * 64}  {name}\n" for name in ("/etc/passwd", "../../etc/passwd", "/dev/zero", "-", f"$(touch {CANARY})")),
    f"\\{'0' * 64}  a\\nb\n", f"{'0' * 64} */dev/stdin\n", "SHA256 (x) = 0\n", "\0\n",
)  # fmt: skip


class Hostile:
    """Spoils one bundle, a case at a time, and mends it again.

    Args:
        bundle: a whole bundle's folder.
        seed: of the cases.
    """

    def __init__(self, bundle: Path, seed: int) -> None:
        self._bundle, self._random = bundle, random.Random(seed)
        self._kept = {path.relative_to(bundle): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        self._manifest = json.loads((bundle / "manifest.json").read_text())
        self._place = bundle.parent / "hostile"
        self._archive = io.BytesIO()
        with tarfile.open(fileobj=self._archive, mode="w") as file:
            file.add(bundle, bundle.name)

    def folder(self) -> Path:
        """Return a folder of which one thing is odd."""
        shutil.rmtree(self._place, ignore_errors=True)
        name = self._random.choice(TEXTS)[:200].translate({0: "", ord("/"): "_"})
        folder = self._place / (self._bundle.name if name in ("", ".", "..") or self._random.random() < 0.8 else name)
        shutil.copytree(self._bundle, folder)
        self._random.choice([self._odd_manifest] * 6 + [self._odd_list, self._odd_file, self._odd_tree])(folder)
        return folder

    def archive(self) -> Path:
        """Return an archive of which something is odd."""
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()
        choices: list[Callable[[bytes], bytes]] = [self._odd_member] * 4
        choices += [self._odd_header, self._odd_header, self._odd_bytes, self._cut]
        content = self._random.choice(choices)(self._archive.getvalue())
        packed = gzip.compress(content, 1, mtime=0)
        if self._random.random() < 0.2:
            packed = self._random.choice([self._odd_bytes, self._cut])(packed)
        path = self._place / "bundle.tar.gz"
        path.write_bytes(packed + (b"x" if self._random.random() < 0.05 else b""))
        return path

    def spoil_signature(self, signature: Path) -> None:
        """Make something of a whole signature that is none, three times in four."""
        content = signature.read_bytes()
        lines = content.splitlines(keepends=True)
        text = self._random.choice(TEXTS).encode(errors="surrogateescape")
        at = self._random.randrange(len(lines))
        swapped = b"".join([*lines[:at], lines[at].partition(b" ")[0] + b" " + text + b"\n", *lines[at + 1 :]])
        odd = [self._odd_bytes(content), self._cut(content), swapped, text, content + text, lines[0] * 3_000]
        if self._random.random() < 0.75:
            signature.write_bytes(self._random.choice(odd))

    def manifest(self) -> bytes:
        """Return a manifest of which something is odd."""
        found = dict(self._manifest)
        for _ in range(self._random.randint(1, 2)):
            key = self._random.choice([*found, "new"])
            if self._random.random() < 0.1:
                found.pop(key, None)
            elif key in ("limits", "model") and self._random.random() < 0.7:
                inner = self._random.choice(["equal_pixels", "file", *TEXTS])
                found[key] = {**self._manifest[key], inner: self._random.choice(VALUES)}
            else:
                found[key] = self._random.choice(VALUES)
        content = json.dumps(found).encode()
        if self._random.random() < 0.25:
            content = self._random.choice([*RAW, self._odd_bytes(content), self._cut(content)])
        return content

    def _odd_manifest(self, folder: Path) -> None:
        (folder / "manifest.json").write_bytes(self.manifest())
        (folder / "SHA256SUMS").write_text(sha256sums(folder))

    def _odd_list(self, folder: Path) -> None:
        sums = folder / "SHA256SUMS"
        lines = sums.read_text().splitlines(keepends=True)
        for _ in range(self._random.randint(1, 3)):
            lines.insert(self._random.randrange(len(lines)), self._random.choice(LINES))
        sums.write_text("".join(lines) if self._random.random() < 0.8 else "\n" * 100_000)

    def _odd_file(self, folder: Path) -> None:
        """Something that is read as text, its checksum right."""
        for name in ("jetpacks.tsv", "requirements.txt", "camera.toml", "edgeseg-camera@.service"):
            path = folder / name
            cells = path.read_text().split("\t" if name == "jetpacks.tsv" else "\n")
            cells[self._random.randrange(len(cells))] = self._random.choice(TEXTS)
            path.write_bytes(("\t" if name == "jetpacks.tsv" else "\n").join(cells).encode(errors="surrogateescape"))
        (folder / "SHA256SUMS").write_text(sha256sums(folder))

    def _odd_tree(self, folder: Path) -> None:
        name = self._random.choice(TEXTS)[:200].translate({0: "", ord("/"): "_"})
        place = self._random.choice([folder, folder / "wheels", folder / "model"])
        path = place / name if name not in ("", ".", "..") else place / "odd"
        kind = self._random.randrange(4)
        with contextlib.suppress(FileExistsError):
            if kind == 0:
                os.mkfifo(path)
            elif kind == 1:
                path.symlink_to(self._random.choice(["/etc/passwd", "/dev/zero", "..", "/"]))
            elif kind == 2:
                path.write_text(CANARY)
            else:
                victim = folder / self._random.choice([each for each in self._kept if len(each.parts) == 1])
                victim.unlink()
                self._random.choice([os.mkfifo, os.mkdir, lambda each: os.symlink("/dev/zero", each)])(victim)

    def _odd_member(self, content: bytes) -> bytes:
        """A member more, of any type and name."""
        target = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(content)) as whole, tarfile.open(fileobj=target, mode="w") as file:
            members = whole.getmembers()
            at = self._random.randrange(len(members))
            for number, member in enumerate(members):
                if number == at:
                    self._add_odd(file)
                file.addfile(member, whole.extractfile(member) if member.isreg() else None)
        return target.getvalue()

    def _add_odd(self, file: tarfile.TarFile) -> None:
        top = self._bundle.name
        outside = [f"{top}/../../../{CANARY}", CANARY, f"../{CANARY}", f"{top}/{'x/' * 200}y", f"{top}/x", top]
        odd = tarfile.TarInfo(self._random.choice([*outside, *(f"{top}/{text}"[:5_000] for text in TEXTS)]))
        odd.type = self._random.choice([tarfile.REGTYPE] * 3 + [b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"Z"])
        odd.linkname = self._random.choice(["/etc/passwd", "..", f"{top}/manifest.json", "/", "/dev/zero"])
        odd.mode, odd.uid, odd.devmajor = self._random.choice([0o6777, 0, 0o644]), self._random.choice([0, 1000]), 1
        if self._random.random() < 0.2:
            key = self._random.choice(["path", "size", "linkpath", "GNU.sparse.map", "GNU.sparse.realsize", "mtime"])
            odd.pax_headers = {key: self._random.choice(["-1", "9" * 30, f"/{CANARY}", "0,1,2", "x"])}
        content = self._random.randbytes(700) if odd.type == tarfile.REGTYPE else b""
        odd.size = len(content)
        with contextlib.suppress(ValueError, UnicodeError):  # a name that no header takes
            file.addfile(odd, io.BytesIO(content))
            if odd.type == tarfile.SYMTYPE:
                file.addfile(tarfile.TarInfo(f"{odd.name}{CANARY}"), io.BytesIO())

    def _odd_header(self, content: bytes) -> bytes:
        """Bytes of a header changed, its checksum right: it is believed."""
        spoiled = bytearray(content)
        at = 512 * self._random.choice(
            [n for n in range(len(content) // 512) if content[512 * n + 257 : 512 * n + 262] == b"ustar"]
        )
        field, size = self._random.choice(
            [(0, 100), (100, 8), (124, 12), (124, 12), (136, 12), (156, 1), (157, 100), (345, 155)]
        )
        odd = self._random.choice(
            [self._random.randbytes(size), b"\x80" + b"\xff" * (size - 1), b"\xff" * size, b"7" * size]
        )
        spoiled[at + field : at + field + size] = odd
        spoiled[at + 148 : at + 156] = b" " * 8
        spoiled[at + 148 : at + 156] = b"%06o\0 " % sum(spoiled[at : at + 512])
        return bytes(spoiled)

    def _odd_bytes(self, content: bytes) -> bytes:
        spoiled = bytearray(content)
        for _ in range(self._random.randint(1, 8)):
            spoiled[self._random.randrange(len(spoiled))] = self._random.randrange(256)
        return bytes(spoiled)

    def _cut(self, content: bytes) -> bytes:
        return content[: self._random.randrange(len(content))]
