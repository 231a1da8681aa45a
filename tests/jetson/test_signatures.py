"""Signed bundles: who made one is verified before anything of it runs, and old ones do not come back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.signing import make_key, sign
from tests.helpers.stub_bundle import Device, archive, make_bundle, sha256sums


class Fleet:
    """A device that trusts one key, and its maker's bundles."""

    def __init__(self, place: Path) -> None:
        self.place, self.device = place, Device(place / "device")
        self.key, self.public = make_key(place, "fleet")
        self.device.install("--trust", self.public)
        self.keys = self.device.root / "etc/edgeseg/keys"

    def bundle(self, name: str, day: int = 1, **changes: object) -> Path:
        """A signed archive, whose installer leaves a trace when it runs."""
        folder = make_bundle(self.place, name, **changes)  # type: ignore[arg-type]
        script = folder / "install.sh"
        script.write_text(script.read_text().replace("set -euo", f'echo {name} >>"$STATE/ran"\nset -euo', 1))
        (folder / "SHA256SUMS").write_text(sha256sums(folder))
        path = archive(folder)
        packed = path.rename(path.with_name(f"{name}.tar.gz"))
        sign(packed, self.key, id=f"id-{name}", time=time_of(day), target=str(changes.get("target", "jetpack6")))
        return packed

    @property
    def ran(self) -> list[str]:
        path = self.device.state / "ran"
        return path.read_text().split() if path.exists() else []


def time_of(day: int) -> str:
    return f"2026-01-{day:02}T00:00:00Z"


@pytest.fixture
def fleet(memory_path: Path) -> Fleet:
    return Fleet(memory_path)


def test_a_signed_bundle_is_installed_by_its_own_installer_and_an_update_after_it(fleet: Fleet) -> None:
    said = fleet.device.install("--from", fleet.bundle("first"))
    assert "signed by fleet, 2026-01-01T00:00:00Z, for jetpack6" in said
    assert "NOTE not verified" not in said
    assert (fleet.device.current, fleet.ran) == ("id-first", ["first"])
    assert (fleet.keys / "newest").read_text() == "2026-01-01T00:00:00Z id-first\n"
    fleet.device.install(fleet.bundle("second", 2))
    assert (fleet.device.current, fleet.device.previous) == ("id-second", "id-first")
    fleet.device.install("--rollback")
    assert fleet.device.current == "id-first"
    assert not list(fleet.place.glob("device/edgeseg-unpacked*"))


def test_a_dry_run_verifies_and_changes_nothing(fleet: Fleet) -> None:
    before = fleet.device.files()
    said = fleet.device.install(fleet.bundle("first"), "--dry-run")
    assert "signed by fleet" in said
    assert "would switch to edgeseg 0.1.0, first (id-first)" in said
    assert fleet.device.files() == before
    assert not list(fleet.place.glob("device/edgeseg-unpacked*"))


def _unsigned(fleet: Fleet, bundle: Path) -> str:
    bundle.with_name(f"{bundle.name}.sig").unlink()
    return "refused, unsigned: no"


def _foreign(fleet: Fleet, bundle: Path) -> str:
    sign(bundle, make_key(fleet.place, "stranger")[0], id="id-next", time=time_of(9))
    return "refused, foreign: signed by none of the keys"


def _changed_byte(fleet: Fleet, bundle: Path) -> str:
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    return "refused, changed after it was signed"


def _signature_of_another(fleet: Fleet, bundle: Path) -> str:
    shutil.copy(fleet.bundle("other", 9).with_name("other.tar.gz.sig"), bundle.with_name(f"{bundle.name}.sig"))
    return "refused, changed after it was signed"


def _later_time(fleet: Fleet, bundle: Path) -> str:
    path = bundle.with_name(f"{bundle.name}.sig")
    path.write_text(path.read_text().replace("2026-01-09", "2027-01-09"))
    return "refused, foreign"


def _older(fleet: Fleet, bundle: Path) -> str:
    sign(bundle, fleet.key, id="id-next", time=time_of(1))
    return "refused, older: it was signed 2026-01-01T00:00:00Z, id-first on this device 2026-01-05T00:00:00Z"


def _for_another_target(fleet: Fleet, bundle: Path) -> str:
    sign(bundle, fleet.key, id="id-next", time=time_of(9), target="jetpack7")
    return "refused, for another target: it is for jetpack7, this is jetpack6"


def _no_signature(fleet: Fleet, bundle: Path) -> str:
    bundle.with_name(f"{bundle.name}.sig").write_bytes(b"\0" * 9000)
    return "is no signature of a bundle"


def _more_lines(fleet: Fleet, bundle: Path) -> str:
    with bundle.with_name(f"{bundle.name}.sig").open("a") as file:
        file.write("time: 2030-01-01T00:00:00Z\n")
    return "is no signature of a bundle"


def _shared_keys(fleet: Fleet, bundle: Path) -> str:
    fleet.keys.chmod(0o777)
    return "others may write there"


REFUSED = [
    _unsigned, _foreign, _changed_byte, _signature_of_another, _later_time, _older, _for_another_target, _no_signature,
    _more_lines, _shared_keys,
]  # fmt: skip


@pytest.mark.parametrize("spoil", REFUSED)
def test_what_is_refused_is_named_and_nothing_of_it_runs(fleet: Fleet, spoil: Callable[[Fleet, Path], str]) -> None:
    fleet.device.install(fleet.bundle("first", 5))
    bundle = fleet.bundle("next", 9)
    expected = spoil(fleet, bundle)
    before = fleet.device.files()
    said = fleet.device.install("--from", bundle, code=1)
    assert expected in said
    assert len([line for line in said.splitlines() if line.startswith("install.sh: ")]) == 2  # and where it ended
    assert fleet.ran == ["first"]
    assert fleet.device.files() == before
    assert not list(fleet.place.glob("device/edgeseg-unpacked*"))


def test_a_signature_counts_for_the_bundle_that_it_names(fleet: Fleet) -> None:
    bundle = fleet.bundle("first")
    sign(bundle, fleet.key, id="id-another", time=time_of(9))
    said = fleet.device.install(bundle, code=1)
    assert "the signature is of id-another for jetpack6, the bundle is id-first for jetpack6" in said
    assert fleet.device.current is None


def test_an_unpacked_folder_is_refused_where_keys_are(fleet: Fleet) -> None:
    said = fleet.device.install(make_bundle(fleet.place, "plain"), code=1)
    assert "a folder carries no signature" in said
    assert "sudo edgeseg-camera --install BUNDLE.tar.gz" in said
    assert fleet.device.current is None


def test_old_bundles_cannot_be_replayed(fleet: Fleet) -> None:
    """Nor after a rollback: what the maker has replaced may have been replaced for a reason."""
    bundles = [fleet.bundle(name, day) for day, name in enumerate(("first", "second", "third"), 1)]
    fleet.device.install(bundles[0])
    fleet.device.install(bundles[2])
    fleet.device.install("--rollback")
    assert "refused, older" in fleet.device.install(bundles[1], code=1)
    fleet.device.install(bundles[0])  # the current one anew, which may be damaged
    assert fleet.device.current == "id-first"
    assert "refused, older" in fleet.device.install(bundles[1], code=1)
    fleet.device.install("--allow-older", bundles[1])
    assert (fleet.device.current, (fleet.keys / "newest").read_text()) == ("id-second", f"{time_of(2)} id-second\n")
    assert "refused, older" in fleet.device.install(bundles[0], code=1)


def test_the_copy_that_was_verified_is_what_is_installed(fleet: Fleet) -> None:
    """Somebody exchanges the archive on the stick while it is verified."""
    bundle, other = fleet.bundle("first"), fleet.bundle("other")
    program = fleet.device.programs / "openssl"
    program.write_text(f'#!/bin/sh\ncp "{other}" "{bundle}"\nexec {shutil.which("openssl")} "$@"\n')
    program.chmod(0o755)
    fleet.device.install(bundle)
    assert bundle.read_bytes() == other.read_bytes()
    assert (fleet.device.current, fleet.ran) == ("id-first", ["first"])


def test_a_key_is_changed_and_withdrawn(fleet: Fleet) -> None:
    new, public = make_key(fleet.place, "new")
    bundle = fleet.bundle("first")
    sign(bundle, new, fleet.key, id="id-first")  # by both, for devices that have either
    fleet.device.install(bundle)
    said = fleet.device.install("--trust", public)
    assert "trusted: fleet, SHA-256 " in said
    assert "trusted: new, SHA-256 " in said
    assert "trust fleet no longer" in fleet.device.install("--distrust", "fleet")
    assert "refused, foreign" in fleet.device.install(fleet.bundle("second", 2), code=1)
    bundle = fleet.bundle("third", 3)
    sign(bundle, new, id="id-third", time=time_of(3))
    assert "signed by new" in fleet.device.install(bundle)
    said = fleet.device.install("--distrust", public)
    assert "NOTE no key is trusted: every bundle is refused until --trust" in said
    assert "refused, foreign" in fleet.device.install(bundle, code=1)  # withdrawing the last key opens nothing
    assert "no key that is trusted here" in fleet.device.install("--distrust", "../../passwd", code=1)


def test_trust_takes_public_keys_of_ed25519_alone(fleet: Fleet) -> None:
    before = fleet.device.files()
    assert "trusted already, as fleet" in fleet.device.install("--trust", fleet.public)
    assert "a private key, which belongs on no device" in fleet.device.install("--trust", fleet.key, code=1)
    _, rsa = make_key(fleet.place, "rsa", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:1024")
    assert "expected one of Ed25519" in fleet.device.install("--trust", rsa, code=1)
    _, other = make_key(fleet.place, "other")
    odd = other.rename(fleet.place / "$(touch x).pem")
    assert "its name is how it is called here" in fleet.device.install("--trust", odd, code=1)
    same = odd.rename(fleet.place / "device/fleet.pem")
    assert "another key is trusted as fleet" in fleet.device.install("--trust", same, code=1)
    assert "no such file" in fleet.device.install("--trust", "/none.pem", code=1)
    assert "would trust" in fleet.device.install("--trust", odd_named(fleet), "--dry-run")
    assert fleet.device.files() == before


def odd_named(fleet: Fleet) -> Path:
    return make_key(fleet.place, "dry")[1]


def test_without_a_key_it_says_what_was_not_verified_and_how_to_begin(memory_path: Path) -> None:
    device = Device(memory_path / "device")
    for bundle in (make_bundle(memory_path, "first"), archive(make_bundle(memory_path, "second"))):
        said = device.install(bundle)
        assert "NOTE not verified who made it: no key in" in said
        assert "to begin: install.sh --trust KEY.pem" in said
    assert "NOTE bundles are not verified here" in device.install("--check")


def test_openssl_before_3_is_refused_by_its_version(fleet: Fleet) -> None:
    program = fleet.device.programs / "openssl"
    program.write_text("#!/bin/sh\necho 'OpenSSL 1.1.1f  31 Mar 2020'\n")
    program.chmod(0o755)
    said = fleet.device.install(fleet.bundle("first"), code=1)
    assert "this is OpenSSL 1.1.1f  31 Mar 2020; expected OpenSSL 3.0 or newer" in said


def test_uninstall_takes_the_keys_along_unless_the_settings_stay(fleet: Fleet) -> None:
    fleet.device.install(fleet.bundle("first"))
    fleet.device.install("--uninstall", "--keep-settings")
    assert sorted(each.name for each in fleet.keys.iterdir()) == ["fleet.pem", "newest"]
    fleet.device.install("--uninstall")
    assert not fleet.keys.exists()
