"""Several devices and several hosts, as real processes on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.training.distribution import Distribution
from edgeseg.training.run_directory import RunDirectory, checkpoints_in
from edgeseg.training.settings import TrainSettings
from tests.helpers.places import ROOT
from tests.helpers.training import PATIENCE_S, write_camvid

STEPS, ADAMW = 4, "2"
Process = subprocess.Popen[str]

# Each case trains some steps; the weights go to a file. Without hosts: on one device, then on two of this process.
PROGRAM = """
import sys
import numpy as np
from tests.helpers.steps import Steps
from edgeseg.training.cluster import Cluster
from edgeseg.training.distribution import Distribution
from edgeseg.tf import tf

CASES = [
    dict(batch_norm=False),
    dict(batch_norm=True, loss="cross_entropy+focal+dice", hard_pixels=0.5, clip_norm=0.1, ema=0.5),
    dict(batch_norm=False, optimizer="adamw", learning_rate=1e-2),
]

def train(distribution, out):
    found = {}
    for number, case in enumerate(CASES):
        steps = Steps(distribution=distribution, **{"optimizer": "sgd", "learning_rate": 0.1, **case})
        found[f"losses {number}"] = np.array([steps() for _ in range(STEPS)])
        found.update({f"weight {number} {i}": value for i, value in enumerate(steps.weights)})
        found.update({f"average {number} {i}": value for i, value in enumerate(steps.kept.get_weights())})
    np.savez(out, replicas=distribution.replicas, **found)

hosts, index, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
if hosts:
    train(Distribution.open(Cluster(tuple(hosts.split(",")), index)), f"{out}/host{index}")
else:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    train(Distribution.open(), f"{out}/one")
    train(Distribution.open(devices=["CPU:0", "CPU:1"]), f"{out}/devices")
""".replace("STEPS", str(STEPS))


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def hosts() -> str:
    return ",".join(f"localhost:{port}" for port in free_ports(2))


@contextmanager
def running(*commands: list[str]) -> Iterator[list[Process]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_hosts_and_devices_compute_what_one_does_with_the_whole_batch(tmp_path: Path) -> None:
    """Without batch norm and with synchronised batch norm: losses, weights, statistics, moving averages."""
    together = hosts()
    commands = [
        ["-c", PROGRAM, which, index, str(tmp_path)]
        for which, index in zip(("", together, together), "001", strict=True)
    ]
    with running(*commands) as processes:
        for process in processes:
            _, errors = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, errors
    found = {name: dict(np.load(tmp_path / f"{name}.npz")) for name in ("one", "host0", "host1", "devices")}
    assert [int(each.pop("replicas")) for each in found.values()] == [1, 2, 2, 2]
    for key, expected in found["one"].items():
        np.testing.assert_array_equal(found["host0"][key], found["host1"][key], err_msg=key)
        for name in ("host0", "devices"):
            # Adam divides by the gradient's own size: where that is next to nothing, so is what its direction means.
            near = 1e-4 if key.split()[1] == ADAMW else 1e-5
            np.testing.assert_allclose(found[name][key], expected, atol=near, err_msg=f"{name}: {key}")


def training(data: Path, out: Path, together: str, index: int, *more: str) -> list[str]:
    options = [
        "--data",
        f"camvid:{data}",
        "--size",
        "64x64",
        "--width",
        "0.0625",
        "--batch",
        "4",
        "--batch-norm",
        "off",
        "--validate-every",
        "1",
    ]
    preset = [] if "--resume" in more else ["--preset", "scratch"]
    return ["-m", "edgeseg", "train", *preset, *options, "--epochs", "100000", "--hosts", together,
            "--index", str(index), "--out", str(out), *more]  # fmt: skip


def wait_for_epochs(processes: list[Process], out: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and all(process.poll() is None for process in processes):
        if (out / "history.csv").exists() and len((out / "history.csv").read_text().splitlines()) > count:
            return
        time.sleep(0.02)
    for process in processes:
        process.kill()
    raise AssertionError([process.communicate() for process in processes])


def test_a_lost_host_ends_the_others_and_the_run_goes_on_and_stops_together(tmp_path: Path) -> None:
    data, out = write_camvid(tmp_path / "camvid", train=4, val=1), tmp_path / "run"
    together = hosts()
    with running(*(training(data, out, together, index) for index in (0, 1))) as (chief, other):
        wait_for_epochs([chief, other], out, 2)
        other.kill()
        began = time.monotonic()
        _, errors = chief.communicate(timeout=60)
        assert time.monotonic() - began < 60
    assert chief.returncode == 5, errors
    (line,) = errors.strip().splitlines()
    assert line.startswith("edgeseg: another of the 2 hosts is gone (")
    assert line.endswith(f"go on with --resume --out {out} on all hosts")
    saved = int(checkpoints_in(out / "checkpoints")[0].name.removeprefix("ckpt-"))
    assert saved >= 2

    together = hosts()
    with running(*(training(data, out, together, index, "--resume") for index in (0, 1))) as (chief, other):
        wait_for_epochs([chief, other], out, saved + 2)
        other.send_signal(signal.SIGTERM)  # one is asked, both stop at the same step
        shown = [process.communicate(timeout=PATIENCE_S) for process in (chief, other)]
        assert [chief.returncode, other.returncode] == [130, 130], shown
    steps = {text.split("stopped at step ")[1].split()[0] for text, _ in shown}
    assert steps == {checkpoints_in(out / "checkpoints")[0].name.removeprefix("ckpt-")}
    epochs = RunDirectory(out).read_history(until_step=10**9)
    assert [epoch.epoch for epoch in epochs] == list(range(1, len(epochs) + 1))  # none lost, none twice


def test_hosts_with_other_settings_are_said(tmp_path: Path) -> None:
    data, together = write_camvid(tmp_path / "camvid", train=4, val=1), hosts()
    commands = [training(data, tmp_path / "run", together, index, "--seed", str(index)) for index in (0, 1)]
    with running(*commands) as processes:
        ends = [(process.communicate(timeout=PATIENCE_S)[1], process.returncode) for process in processes]
    assert {code for _, code in ends} <= {2, 5}  # one of them may find the other gone
    assert "the hosts do not have the same settings" in "".join(errors for errors, _ in ends)
    assert not (tmp_path / "run").exists()


def test_settings_that_several_devices_cannot_have() -> None:
    two = Distribution(SimpleNamespace(num_replicas_in_sync=2))
    two.check_settings(TrainSettings(batch=8))
    with pytest.raises(UsageError, match="batch 3 for 2 devices; expected a multiple, such as 4"):
        two.check_settings(TrainSettings(batch=3))
    with pytest.raises(UsageError, match="xla with 2 devices"):
        two.check_settings(TrainSettings(xla=True))


def test_a_port_in_use_is_said_before_anyone_waits(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        data = write_camvid(tmp_path / "camvid", train=4, val=1)
        port = taken.getsockname()[1]
        with running(training(data, tmp_path / "run", f"localhost:{port},localhost:1", 0)) as (process,):
            _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert f"port {port} of this host (localhost:{port}) cannot be used (Address already in use)" in errors
