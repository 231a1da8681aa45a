"""Signatures of bundles: Ed25519 (RFC 8032) by OpenSSL, over a short text that names the archive."""

from __future__ import annotations

import base64
import stat
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from edgeseg.bundle.archive import sha256
from edgeseg.core.errors import UsageError
from edgeseg.core.files import write_whole
from edgeseg.runtime.machine.child import run_program

TITLE = "edgeseg-bundle-signature 1"
_BYTES = 64
"""Of an Ed25519 signature."""
_REMEDY = "make one: openssl genpkey -algorithm ed25519 -out KEY.pem"


def signature_beside(bundle: Path) -> Path:
    """Return the name of a bundle's signature, which install.sh looks for."""
    return bundle.with_name(f"{bundle.name}.sig")


def sign(bundle: Path, manifest: Mapping[str, Any], keys: Sequence[Path], notice: Callable[[str], None]) -> Path:
    """Write BUNDLE.sig: what was signed, and a signature by each key. A passphrase is asked for at the terminal.

    Args:
        bundle: the archive.
        manifest: what it says of itself.
        keys: private keys, PEM.
        notice: takes one-line remarks.

    Raises:
        UsageError: OpenSSL is missing or too old, or a key cannot be used.
    """
    lines = [TITLE, f"sha256: {sha256(bundle)}", f"id: {manifest['id']}", f"target: {manifest['target']}"]
    text = "\n".join([*lines, f"time: {datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}", ""])
    for key in keys:
        if stat.S_IMODE(_mode(key)) & (stat.S_IRGRP | stat.S_IROTH):
            notice(f"NOTE {key}: others may read this private key; chmod 600 {key}")
    signatures = "".join(f"signature: {base64.b64encode(_signature(text, key)).decode()}\n" for key in keys)
    path = signature_beside(bundle)
    write_whole(path, text + signatures)
    return path


def _mode(key: Path) -> int:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise UsageError(f"--sign {key}: {error.strerror}; expected a private key, PEM: {_REMEDY}") from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"--sign {key}: no plain file; expected a private key, PEM: {_REMEDY}")
    return mode


def _signature(text: str, key: Path) -> bytes:
    """Sign by `pkeyutl -rawin`, which OpenSSL has since 3.0 and which reads plain files alone."""
    with tempfile.TemporaryDirectory(prefix="edgeseg-sign-") as folder:
        source, target = Path(folder) / "text", Path(folder) / "signature"
        source.write_text(text)
        _openssl(
            key, "pkeyutl", "-sign", "-inkey", str(key.absolute()), "-rawin", "-in", str(source), "-out", str(target)
        )
        found = target.read_bytes()
    if len(found) != _BYTES:
        raise UsageError(f"--sign {key}: not of Ed25519, which install.sh verifies; {_REMEDY}")
    return found


def _openssl(key: Path, *arguments: str) -> None:
    try:
        version = run_program("openssl", "version", capture_output=True, text=True).stdout.strip()
        if not version.startswith("OpenSSL ") or int(version.split()[1].partition(".")[0]) < 3:
            raise UsageError(f"--sign: this is {version}; expected OpenSSL 3.0 or newer")
        done = run_program("openssl", *arguments, stderr=subprocess.PIPE, text=True)
    except OSError as error:
        raise UsageError("--sign: no openssl on the PATH; install OpenSSL 3.0 or newer") from error
    if done.returncode:
        raise UsageError(f"--sign {key}: OpenSSL takes it for no private key, or the passphrase is wrong; {_REMEDY}")
