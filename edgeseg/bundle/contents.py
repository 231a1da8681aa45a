"""What a bundle says of itself, read from its archive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.core.errors import UsageError
from edgeseg.core.json_text import parse_json

MANIFEST, BILL, CARD = "manifest.json", "bom.cdx.json", ".card.md"


@dataclass(frozen=True)
class Contents:
    """What an archive holds, every byte of it held against its checksum.

    Attributes:
        path: the archive.
        files: how many.
        texts: manifest, bill of materials and model card, by name.
    """

    path: Path
    files: int
    texts: dict[str, str]

    @property
    def manifest(self) -> dict[str, Any]:
        """What it is for. Raises UsageError."""
        found = self._document(MANIFEST)
        if not all(isinstance(found.get(key), str) for key in ("id", "target")):
            raise UsageError(f"{self.path}: {MANIFEST} names no id and target; make it again")
        return found

    @property
    def bill(self) -> dict[str, Any]:
        """The bill of materials, CycloneDX. Raises UsageError."""
        return self._document(BILL)

    @property
    def card(self) -> str:
        """The model card, Markdown; empty in a bundle of an earlier version."""
        return next((text for name, text in self.texts.items() if name.endswith(CARD)), "")

    def lines(self) -> Iterator[str]:
        """Yield what a user reads. Raises UsageError."""
        manifest = self.manifest
        whole = f"{self.files} files, all as they were packed"
        yield f"{self.path}: bundle {manifest['id']} for {manifest['target']}, {whole}"
        for each in self.bill.get("components", []):
            if each.get("type") == "library":
                licence = ", ".join(entry["license"]["name"] for entry in each.get("licenses", []))
                yield f"package {each['name']} {each['version']}, {licence or 'licence not said'}"
        yield ""
        yield from self.card.splitlines()

    def _document(self, name: str) -> dict[str, Any]:
        found = parse_json(
            self.texts.get(name, ""), f"{self.path}: {name}", "what edgeseg bundle writes: make it again"
        )
        if not isinstance(found, dict):
            raise UsageError(f"{self.path}: {name} is no JSON object; make it again")
        return found
