"""Whether a model file is the one that the export has proven.

The export adds two checksums to the file's metadata. A damaged copy is found by them, and a graph that was changed
after its proof, by onnxsim for example, is not run unless that is asked for. Who changes a file on purpose can write
new checksums as well: this finds damage, not attackers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from edgeseg.core.errors import ModelError
from edgeseg.core.spec import METADATA_KEY
from edgeseg.runtime.engines.onnx_bytes import graph_sha256, metadata_entry, onnx_metadata

GRAPH_KEY, SPEC_KEY = "edgeseg.graph_sha256", "edgeseg.spec_sha256"
"""Keys of an ONNX file's metadata: the SHA-256 of its graph (`onnx_bytes.graph_sha256`) and of the spec's JSON."""


def seal(path: Path) -> None:
    """Add the checksums of its graph and its spec to an ONNX file that holds a spec. Raises ModelError, OSError."""
    sums = {GRAPH_KEY: graph_sha256(path), SPEC_KEY: text_sha256(onnx_metadata(path)[METADATA_KEY])}
    with path.open("ab") as file:
        for key, value in sums.items():
            file.write(metadata_entry(key, value))


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def check_spec(path: Path, metadata: Mapping[str, str], spec: str) -> None:
    """Raise ModelError for a spec in a file that is not the one that was exported. Nothing but damage changes it."""
    if metadata.get(SPEC_KEY, text_sha256(spec)) != text_sha256(spec):
        raise ModelError(f"{path}: damaged: its spec is not the one that was exported; copy or export it again")


def change_of_graph(path: Path, metadata: Mapping[str, str], accept_changed: bool) -> str | None:
    """Return a remark on a graph that was changed after its proof, None for one that was not, or that has no checksum.

    Raises:
        ModelError: it was changed, and `accept_changed` is not set.
    """
    expected = metadata.get(GRAPH_KEY)
    if expected is None or expected == graph_sha256(path):
        return None
    if accept_changed:
        return f"{path}: its graph is not the one that the export has proven; it is accepted as it is"
    raise ModelError(
        f"{path}: its graph is not the one that the export has proven, but damaged or changed since; copy or export it "
        "again, or, if it was changed on purpose as by onnxsim, add --accept-changed-model"
    )
