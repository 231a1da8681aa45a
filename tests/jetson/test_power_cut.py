"""The installer killed at every step, and what it syncs: `current` is a working version whatever happens."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.helpers.signing import make_key, sign
from tests.helpers.stub_bundle import UNIT, Device, archive, make_bundle

# Bash reads this first, and calls the trap before each command, those of functions and subshells too. Each command
# that changes something is counted; before the one whose turn it is the whole process group is killed.
KILLER = r"""
set -o functrace
at() {
  case $1 in # no =~, which would set what the installer reads
    mv* | ln* | rm* | cp* | mkdir* | chmod* | sync* | systemctl* | mktemp* | dd* | openssl* | exec* | "cat >"*) ;;
    *"-m venv"* | *"pip[@]"* | *venv/bin*) ;;
    *) return 0 ;;
  esac
  local seen
  printf x >>"$COUNT"
  read -r seen <"$COUNT" || true
  if [[ ${#seen} -eq $KILL_AT ]]; then echo "$LINENO $1" >"$COUNT.at"; kill -KILL 0; fi
}
trap 'at "$BASH_COMMAND"' DEBUG
"""
Q = -signal.SIGKILL


class Story:
    """A system as it is before something is done to it, given back as it was as often as is wanted."""

    def __init__(self, place: Path, versions: Sequence[str], is_signed: bool = False) -> None:
        self.place, self.device = place, Device(place / "device")
        self.bundles = {name: make_bundle(place, name) for name in ("first", "second", "third")}
        if is_signed:
            self._sign()
        for name in versions:
            self.device.install(self.bundles[name])
        shutil.copytree(place / "device", place / "kept", symlinks=True)
        (place / "killer").write_text(KILLER)

    def _sign(self) -> None:
        key, public = make_key(self.place, "fleet")
        self.device.install("--trust", public)
        for day, (name, folder) in enumerate(self.bundles.items(), 1):
            path = archive(folder)
            self.bundles[name] = path.rename(path.with_name(f"{name}.tar.gz"))
            sign(self.bundles[name], key, id=f"id-{name}", time=f"2026-01-0{day}T00:00:00Z")

    def again(self) -> None:
        shutil.rmtree(self.place / "device")
        shutil.copytree(self.place / "kept", self.place / "device", symlinks=True)

    def killed_at(self, number: int, *arguments: object) -> str | None:
        """Run install.sh until it is killed; return the command that it did not come to, None if it came to its end."""
        count = self.place / "count"
        for each in (count, self.place / "count.at"):
            each.unlink(missing_ok=True)
        environment = {"BASH_ENV": str(self.place / "killer"), "COUNT": str(count), "KILL_AT": str(number)}
        done = self.device.start(*arguments, environment=environment)
        if done.returncode == 0:
            return None
        assert done.returncode == Q, done.stdout + done.stderr
        return (self.place / "count.at").read_text()

    def steps(self, *arguments: object) -> int:
        """How many commands change something."""
        self.again()
        assert self.killed_at(0, *arguments) is None
        count = len((self.place / "count").read_text())
        assert count > 15
        return count


def assert_boots(device: Device, versions: set[str | None], at: str) -> None:
    """What a boot finds: a version that passes its self-test, or none; a whole service file and whole settings.

    The service file is the version's own, or that of the newer one.
    """
    assert device.current in versions, at
    if device.current:
        assert device.works(), at
        assert ORDER.index(f"id-{unit_of(device)}") >= ORDER.index(device.current), at
    if (settings := device.root / "etc/edgeseg/camera.toml").exists():
        assert settings.read_text().endswith('model.onnx"\n'), at


ORDER = ["id-first", "id-second", "id-third"]


def unit_of(device: Device) -> str:
    """Which version's the service file is; it must be whole."""
    found = re.search(r"DefaultInstance=camera\n# of (\w+)\n$", (device.root / "etc/systemd/system" / UNIT).read_text())
    assert found
    return found[1]


def assert_clean(device: Device, versions: set[str]) -> None:
    assert {each.name for each in (device.base / "versions").iterdir()} == versions
    assert not [name for name in device.files() if name.endswith((".new", ".checked.toml"))]
    assert f"id-{unit_of(device)}" == device.current != device.previous


def turns(count: int, every: bool) -> Sequence[int]:
    """Which commands to be killed at: each, or some of those that lead to the switch, and of those after it."""
    return range(1, count + 1) if every else sorted({*range(count, 0, -12), count - 3})


KEYS = "etc/edgeseg/keys"


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.faults), False], ids=["every", "some"])
def every(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_an_update_that_is_killed_leaves_the_old_version_or_the_new_one(memory_path: Path, every: bool) -> None:
    story = Story(memory_path, ["first", "second"])
    device, bundle = story.device, story.bundles["third"]
    left = set()
    for number in turns(story.steps(bundle), every):
        story.again()
        at = story.killed_at(number, bundle)
        assert at
        left.add(device.current)
        assert_boots(device, {"id-second", "id-third"}, at)
        assert device.previous in ("id-first", "id-second"), at
        assert device.previous != device.current, at
        if every or number % 4 == 0:
            device.install(bundle)
            assert (device.current, device.previous) == ("id-third", "id-second"), at
            assert_boots(device, {"id-third"}, at)
            assert_clean(device, {"id-second", "id-third"})
            device.install("--rollback")
            assert_boots(device, {"id-second"}, at)
    assert left == {"id-second", "id-third"}


def test_a_signed_update_that_is_killed_is_verified_again(memory_path: Path, every: bool) -> None:
    """At each step of the verification too: no bundle of another key gets in, and no older one afterwards."""
    story = Story(memory_path, ["first", "second"], is_signed=True)
    device, bundle = story.device, story.bundles["third"]
    left = set()
    for number in turns(story.steps(bundle), every):
        story.again()
        at = story.killed_at(number, bundle)
        assert at
        left.add(device.current)
        assert_boots(device, {"id-second", "id-third"}, at)
        assert [each.name for each in (device.root / KEYS).glob("*.pem")] == ["fleet.pem"], at
        if device.current == "id-third":
            assert "refused, older" in device.install(story.bundles["first"], code=1), at
        if every or number % 4 == 0:
            device.install(bundle)
            assert (device.current, device.previous) == ("id-third", "id-second"), at
            assert_clean(device, {"id-second", "id-third"})
            assert not list(story.place.glob("device/edgeseg-unpacked*")), at
            assert (device.root / KEYS / "newest").read_text() == "2026-01-03T00:00:00Z id-third\n", at
    assert left == {"id-second", "id-third"}


def test_trusting_and_distrusting_a_key_are_whole_or_not_at_all(memory_path: Path) -> None:
    story = Story(memory_path, ["first"], is_signed=True)
    keys = story.device.root / KEYS
    public = make_key(memory_path, "new")[1]
    for action, given in (("--trust", public), ("--distrust", "fleet")):
        number, found = 0, set()
        while True:
            number += 1
            story.again()
            at = story.killed_at(number, action, given)
            names = {each.name for each in keys.glob("*.pem")}
            assert keys.is_dir(), at
            found.add(frozenset(names))
            assert all(each.read_text().endswith("-----END PUBLIC KEY-----\n") for each in keys.glob("*.pem")), at
            if at is None:
                break
        assert len(found) == 2, action


def test_a_first_installation_that_is_killed_goes_on_when_it_is_called_again(memory_path: Path, every: bool) -> None:
    story = Story(memory_path, [])
    device, bundle = story.device, story.bundles["first"]
    for number in turns(story.steps(bundle), every):
        story.again()
        at = story.killed_at(number, bundle)
        assert at
        assert_boots(device, {None, "id-first"}, at)
        if every or number % 4 == 0:
            device.install(bundle)
            assert_boots(device, {"id-first"}, at)
            assert_clean(device, {"id-first"})
            assert list((device.root / "etc/systemd/system/multi-user.target.wants").iterdir()), at


def test_a_rollback_that_is_killed_leaves_one_of_the_two(memory_path: Path, every: bool) -> None:
    story = Story(memory_path, ["first", "second"])
    device = story.device
    for number in turns(story.steps("--rollback"), every):
        story.again()
        at = story.killed_at(number, "--rollback")
        assert at
        assert_boots(device, {"id-first", "id-second"}, at)
        left = device.current
        device.install("--check")
        assert device.current == left
        assert_clean(device, {"id-first", "id-second"})
        device.install("--rollback")
        assert device.current != left
        device.install(story.bundles["second"])
        assert (device.current, device.previous) == ("id-second", "id-first"), at
        assert_clean(device, {"id-first", "id-second"})


def test_an_uninstall_that_is_killed_is_finished_by_another(memory_path: Path) -> None:
    story = Story(memory_path, ["first"])
    device = story.device
    number = 0
    while True:
        number += 1
        story.again()
        at = story.killed_at(number, "--uninstall")
        if at is None:
            break
        if device.current:
            assert device.works(), at
        device.install("--uninstall")
        assert not device.base.exists()
        left = [name for name in device.files() if "edgeseg" in name]
        assert not left, at
    assert number > 5


CALL = re.compile(r"^\d+ +(?P<name>\w+)\((?P<arguments>.*)\) += 0$")


def test_every_rename_is_between_syncs_of_its_file_and_its_folder(memory_path: Path) -> None:
    """So that after a power cut a name leads to the whole old file or the whole new one."""
    strace = shutil.which("strace")
    if not strace:
        pytest.skip("strace is not installed")
    device, trace = Device(memory_path / "device"), memory_path / "trace"
    device.install(make_bundle(memory_path, "first"))
    watch = [strace, "-f", "-qq", "-y", "-s", "500", "-o", str(trace), "-e", "signal=none"]
    watch += ["-e", "trace=fsync,syncfs,rename,renameat,renameat2"]
    if subprocess.run([*watch, "true"], capture_output=True).returncode:
        pytest.skip("strace may trace nothing here")
    done = device.start(make_bundle(memory_path, "second"), before=watch)
    assert done.returncode == 0, done.stderr
    calls = [found.groups() for line in whole_lines(trace) if (found := CALL.match(line))]
    renamed = [index for index, (name, _) in enumerate(calls) if name.startswith("rename")]
    targets = []
    for index in renamed:
        source, target = (Path(each) for each in re.findall(r'"([^"]*)"', calls[index][1]))
        targets.append(target.name)
        before, after = calls[:index], calls[index + 1 :]
        next_rename = next((at for at, (name, _) in enumerate(after) if name.startswith("rename")), len(after))
        assert ("fsync", str(target.parent)) in paths(before[-2:]), target
        assert ("fsync", str(target.parent)) in paths(after[:next_rename]), target
        if not target.is_symlink():
            assert ("fsync", str(source)) in paths(before[-2:]), target
    assert {"tested", "current", "previous", UNIT, "edgeseg", "edgeseg-camera"} == set(targets)
    # The whole version is on the disk before its mark, and the mark and its folders before the link.
    version, mark = device.base / "versions/id-second", targets.index("tested")
    assert ("syncfs", str(version)) in paths(calls[: renamed[mark]])
    between = paths(calls[renamed[mark] : renamed[targets.index("current")]])
    assert {("fsync", str(each)) for each in (version, device.base / "versions", device.base)} <= set(between)


def whole_lines(trace: Path) -> list[str]:
    """Join what strace cut in two because another process had something to say."""
    begun: dict[str, str] = {}
    lines = []
    for line in trace.read_text().splitlines():
        pid, _, text = line.partition(" ")
        if text.endswith(" <unfinished ...>"):
            begun[pid] = line.removesuffix(" <unfinished ...>")
        else:
            lines.append(re.sub(r"^\d+ +<\.\.\. \w+ resumed>", lambda _: begun.pop(pid), line))  # noqa: B023
    return lines


def paths(calls: Sequence[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Each call with the path of its file descriptor, which strace -y shows as 3</path>."""
    return [(name, found[1]) for name, text in calls if (found := re.search(r"<(.*)>", text))]
