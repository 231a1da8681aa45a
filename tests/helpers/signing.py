"""Keys and signatures for tests, by OpenSSL as a user calls it; the time of a signature is the test's."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest


def make_key(folder: Path, name: str, *kind: str) -> tuple[Path, Path]:
    """Return a private and a public key; `kind` is what openssl genpkey takes."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    openssl("genpkey", *(kind or ("-algorithm", "ed25519")), "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def sign(bundle: Path, *keys: Path, id: str, time: str = "2026-01-01T00:00:00Z", target: str = "jetpack6") -> Path:
    """Write BUNDLE.sig."""
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    text = f"edgeseg-bundle-signature 1\nsha256: {digest}\nid: {id}\ntarget: {target}\ntime: {time}\n"
    place, raw = bundle.with_suffix(".text"), bundle.with_suffix(".raw")
    place.write_text(text)
    for key in keys:
        openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", place, "-out", raw)
        text += f"signature: {base64.b64encode(raw.read_bytes()).decode()}\n"
        raw.unlink()
    place.unlink()
    path = bundle.with_name(f"{bundle.name}.sig")
    path.write_text(text)
    return path


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
