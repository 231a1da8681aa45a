"""`edgeseg bundle --sign`: what it writes is what OpenSSL and install.sh take."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.signing import make_key, openssl
from tests.helpers.stub_bundle import Device, archive, make_bundle


@pytest.fixture
def bundle(memory_path: Path) -> Path:
    return archive(make_bundle(memory_path))


def sign(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg", "bundle", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_a_bundle_that_is_there_is_signed_and_a_device_takes_it(bundle: Path, memory_path: Path) -> None:
    device = Device(memory_path / "device")
    key, public = make_key(memory_path, "fleet")
    key.chmod(0o600)
    done = sign("--out", bundle, "--sign", key)
    assert done.returncode == 0, done.stderr
    assert f"{bundle}.sig: signed" in done.stdout
    assert "others may read" not in done.stderr
    *lines, signature = Path(f"{bundle}.sig").read_text().splitlines(keepends=True)
    assert lines[:4] == [
        "edgeseg-bundle-signature 1\n",
        f"sha256: {hashlib.sha256(bundle.read_bytes()).hexdigest()}\n",
        "id: id-net\n",
        "target: jetpack6\n",
    ]
    # As docs/security.md has it done by hand.
    text, raw = memory_path / "text", memory_path / "raw"
    text.write_text("".join(lines))
    raw.write_bytes(base64.b64decode(signature.removeprefix("signature: ")))
    openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", text, "-sigfile", raw)
    device.install("--trust", public)
    assert "signed by fleet" in device.install("--from", bundle)


def test_several_keys_sign_and_a_key_that_all_can_read_is_said(bundle: Path, memory_path: Path) -> None:
    old, new = make_key(memory_path, "old")[0], make_key(memory_path, "new")[0]
    new.chmod(0o644)
    done = sign("--out", bundle, "--sign", old, "--sign", new)
    assert done.returncode == 0, done.stderr
    assert f"{new}: others may read this private key" in done.stderr
    assert Path(f"{bundle}.sig").read_text().count("\nsignature: ") == 2


def test_what_cannot_sign_is_one_line_and_writes_nothing(bundle: Path, memory_path: Path) -> None:
    rsa, _ = make_key(memory_path, "rsa", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024")
    _, public = make_key(memory_path, "fleet")
    for key, expected in (
        (memory_path / "none", "No such file"),
        (Path("/dev/zero"), "no plain file"),
        (bundle, "no private key"),
        (public, "no private key"),
        (rsa, "not of Ed25519"),
    ):
        done = sign("--out", bundle, "--sign", key)
        assert (done.returncode, expected in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr
    assert not Path(f"{bundle}.sig").exists()
    assert "Missing option '--model'; expected" in sign("--out", bundle).stderr


def test_a_bundle_that_is_damaged_is_not_signed(memory_path: Path) -> None:
    folder = make_bundle(memory_path)
    key, _ = make_key(memory_path, "fleet")
    (folder / "manifest.json").write_text(json.dumps({"id": 1}))
    done = sign("--out", archive(folder), "--sign", key)
    assert (done.returncode, "changed: manifest.json" in done.stderr) == (2, True), done.stderr
