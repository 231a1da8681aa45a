"""install.sh on bundles that somebody made on purpose: nothing outside its own folders is touched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.jetson.fuzzed_bundles import alone


@pytest.fixture
def place(tmp_path: Path) -> Path:
    if os.geteuid() != 0 or alone(tmp_path, "true").returncode:
        pytest.skip("needs root, and an overlay in a mount namespace of its own")
    return tmp_path


def test_what_is_written_outside_is_seen(place: Path) -> None:
    """The measure itself: a file in a system folder, and one changed."""
    done = alone(
        place, "sh", "-c", "touch /etc/canary; echo >>/etc/passwd; touch /scratch/own /dev/canary; rm /etc/shells"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == sorted(
        ["WRITTEN"] * 4 + ["etc/canary", "etc/passwd", "etc/shells", "dev/canary"]
    )
    assert not Path("/etc/canary").exists()


@pytest.mark.parametrize(
    ("count", "seed"), [(40, 1), *(pytest.param(1000, seed, marks=pytest.mark.faults) for seed in range(2, 12))]
)
def test_hostile_bundles_are_refused_and_nothing_else_is_touched(place: Path, count: int, seed: int) -> None:
    done = alone(place, sys.executable, "-B", "-m", "tests.jetson.fuzzed_bundles", "whole", str(count), str(seed))
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    assert [line for line in done.stdout.splitlines() if line.startswith("WRITTEN")] == []


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.faults)])
def test_the_readers_of_manifests_and_archives_write_nothing_elsewhere(place: Path, count: int) -> None:
    done = alone(place, sys.executable, "-B", "-m", "tests.jetson.fuzzed_bundles", "readers", str(count), "1")
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-4000:]
    assert [line for line in done.stdout.splitlines() if line.startswith("WRITTEN")] == []
