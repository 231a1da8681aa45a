"""systemd, Prometheus and log readers: what they are told by a real run."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgeseg.runtime.records import FrameRecord, Ledger
from edgeseg.runtime.service.systemd import Service
from edgeseg.runtime.states import Reason, Status
from tests.helpers.camera_servers import MjpegCamera

WriteModel = Callable[..., Path]


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path[1:] if path.startswith("@") else path)
        self.socket.settimeout(20)

    def hears(self, line: str) -> None:
        while line not in self.socket.recv(4096).decode().split("\n"):
            pass

    def heard(self) -> list[str]:
        self.socket.setblocking(False)
        lines: list[str] = []
        try:
            while True:
                lines += self.socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    made = Manager(f"{tmp_path}/notify" if request.param == "file" else f"@edgeseg-test-{os.getpid()}")
    yield made
    made.socket.close()


def service(manager: Manager, **more: str) -> Service:
    return Service({"NOTIFY_SOCKET": manager.path, **more})


def with_masks(count: int, status: str = "ok") -> Ledger:
    ledger = Ledger()
    for index in range(count):
        ledger.add(FrameRecord(index, 0.0, Status(status), ms={"capture_to_mask": 20.0}))
    return ledger


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "edgeseg.runtime", "--backend", "onnxruntime-cpu", *map(str, arguments)]


def test_a_real_run_says_ready_alive_and_stopping(manager: Manager, video: Path, write_model: WriteModel) -> None:
    environment = {**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "200000"}
    environment.pop("WATCHDOG_PID", None)
    camera = subprocess.Popen(command(video, "--loop", "--model", write_model(), "--quiet"), env=environment)
    manager.hears("READY=1")
    for _ in range(3):
        manager.hears("WATCHDOG=1")
    camera.send_signal(signal.SIGTERM)
    manager.hears("STOPPING=1")
    assert camera.wait(20) == 0


def test_the_watchdog_is_fed_by_masks_and_by_a_camera_being_recovered_and_by_nothing_else(manager: Manager) -> None:
    with service(manager, WATCHDOG_USEC="40000") as told:
        told(with_masks(0), 0.1)
        assert not {"READY=1", "WATCHDOG=1"} & set(manager.heard())
        ledger = with_masks(1)
        told(ledger, 0.2)
        assert {"READY=1", "WATCHDOG=1"} <= set(manager.heard())
        time.sleep(0.02)
        told(ledger, 0.3)  # no new mask: the loop turns, but nothing comes of it
        assert "WATCHDOG=1" not in manager.heard()
        ledger.source.away.begin(0.0)
        told(ledger, 0.4)
        assert "WATCHDOG=1" in manager.heard()
        ledger.source.away.end(1.0)
        time.sleep(0.02)
        told(ledger, 0.5)
        assert "WATCHDOG=1" not in manager.heard()
        told(with_masks(2, "stale"), 0.6)  # a dark garage is no reason to restart
        assert "WATCHDOG=1" in manager.heard()
    assert "STOPPING=1" in manager.heard()


def test_masks_that_are_all_late_feed_no_watchdog(manager: Manager) -> None:
    ledger = Ledger()
    with service(manager, WATCHDOG_USEC="40000") as told:
        for frame, reason in enumerate((Reason.DEADLINE, Reason.DEADLINE, Reason.BLACK)):
            ledger.add(FrameRecord(frame, 0.0, Status.STALE, reason, ms={"capture_to_mask": 900.0}))
            time.sleep(0.02)
            told(ledger, 0.1)
            assert ("WATCHDOG=1" in manager.heard()) == (reason == "black")
    assert {reason: count for reason, count in ledger.stale.items() if count} == {"deadline": 2, "black": 1}


def test_a_service_whose_camera_is_not_there_yet_is_ready_and_alive(manager: Manager, write_model: WriteModel) -> None:
    """Without READY=1 systemd would start it again for ever; code 3 at once would do the same."""
    environment = {**os.environ, "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"}
    environment.pop("WATCHDOG_PID", None)
    camera = MjpegCamera()
    camera.start()
    camera.stop()
    process = subprocess.Popen(
        command(camera.uri, "--model", write_model(), "--give-up-seconds", "inf", "--frames", "5"),
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in ("READY=1", "WATCHDOG=1", "WATCHDOG=1"):
        manager.hears(line)
    with camera:
        stdout, stderr = process.communicate(timeout=40)
    assert process.returncode == 0, stderr
    said = stderr.splitlines()
    assert "Connection refused" in said[0]
    assert said[0].endswith("it is waited for")
    assert any("there after" in line for line in said)
    assert "reconnects" not in stdout  # it has never been there before


def test_the_watchdog_is_fed_four_times_in_its_period_not_at_every_mask(manager: Manager) -> None:
    with service(manager, WATCHDOG_USEC="400000") as told:
        start = time.monotonic()
        masks = 0
        while time.monotonic() - start < 0.6:
            masks += 1
            told(with_masks(masks), 1.0)
            time.sleep(0.005)
        fed = manager.heard().count("WATCHDOG=1")
    assert 3 <= fed <= 7


def test_a_long_start_is_granted_more_time_and_a_watchdog_of_another_process_is_not_fed(manager: Manager) -> None:
    with service(manager, WATCHDOG_USEC="40000", WATCHDOG_PID="1") as told:
        manager.hears("EXTEND_TIMEOUT_USEC=30000000")
        told(with_masks(1), 0.1)
        heard = manager.heard()
    assert "READY=1" in heard
    assert "WATCHDOG=1" not in heard


def test_without_a_manager_or_with_one_that_hangs_nothing_happens(tmp_path: Path) -> None:
    with Service({}) as told:
        told(with_masks(1), 0.1)
    with Service({"NOTIFY_SOCKET": f"{tmp_path}/gone", "WATCHDOG_USEC": "1000"}) as told:
        told(with_masks(1), 0.1)
    deaf = Manager(f"{tmp_path}/deaf")
    with service(deaf, WATCHDOG_USEC="4") as told:
        start = time.monotonic()
        for count in range(1, 400):  # more than its socket holds
            told(with_masks(count % 2 + 1), 0.1)
        assert time.monotonic() - start < 5
    deaf.socket.close()


@pytest.mark.skipif(
    not shutil.which("systemd-run") or not Path("/run/systemd/private").exists(), reason="no systemd runs here"
)
def test_systemd_itself_takes_it_for_ready(video: Path, write_model: WriteModel) -> None:
    unit = f"edgeseg-test-{os.getpid()}"
    run = ["systemd-run", "--unit", unit, "--property=Type=notify", "--property=WatchdogSec=5"]
    subprocess.run([*run, *command(video, "--loop", "--model", write_model())], check=True, timeout=60)
    try:
        state = subprocess.run(["systemctl", "is-active", unit], capture_output=True, text=True).stdout.strip()
        assert state == "active"
    finally:
        subprocess.run(["systemctl", "stop", unit], check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_prometheus_reads_what_became_of_the_frames(video: Path, write_model: WriteModel) -> None:
    port = free_port()
    camera = subprocess.Popen(
        command(video, "--loop", "--seconds", 50, "--model", write_model(), "--quiet", "--metrics-port", port)
    )
    values = scrape(port, until=lambda values: values.get(("edgeseg_frames_total", "processed"), 0) >= 10)
    assert values["edgeseg_frames_total", "failed"] == 0
    assert values["edgeseg_camera_away", ""] == 0
    assert values["edgeseg_stale_masks_total", "deadline"] == 0
    masks = values["edgeseg_latency_seconds_count", "capture_to_mask"]
    assert masks == pytest.approx(values["edgeseg_frames_total", "processed"], abs=25)
    assert values["edgeseg_latency_seconds_bucket", "capture_to_mask 5"] >= 0.5 * masks
    taken = subprocess.run(
        command(video, "--model", write_model(), "--metrics-port", port), capture_output=True, text=True
    )
    assert taken.returncode == 2
    assert f"metrics port {port}: cannot be had" in taken.stderr
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    assert f"0100007F:{port:04X}" in listening  # on loopback, and nowhere else
    assert f"00000000:{port:04X}" not in listening
    camera.send_signal(signal.SIGTERM)
    assert camera.wait(20) == 0


def scrape(port: int, until: Callable[[dict[tuple[str, str], float]], bool]) -> dict[tuple[str, str], float]:
    end = time.monotonic() + 40
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            text = ""
        values = {
            (sample.name, " ".join(sample.labels[key] for key in sorted(sample.labels, reverse=True))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        if until(values):
            return values
        assert time.monotonic() < end
        time.sleep(0.1)


def test_without_the_client_library_the_extra_is_named(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        f"sys.argv = ['edgeseg-camera', {str(video)!r}, '--model', {str(write_model())!r}, '--metrics-port', '9']\n"
        "from edgeseg.runtime.commands.camera import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'edgeseg[metrics]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_json_log_is_json_line_by_line_with_errors_too(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model(camera_size=None)
    done = subprocess.run(command(video, "--model", model, "--log-json"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["notice", "summary"]
    assert "resized on the host" in lines[0]["message"]
    assert lines[1]["summary"]["frames"]["captured"] == 30
    failed = subprocess.run(command(video, "--model", tmp_path / "none", "--log-json"), capture_output=True, text=True)
    (line,) = [json.loads(line) for line in failed.stderr.splitlines()]
    assert (failed.returncode, line["level"], line["event"], line["exit_code"]) == (4, "error", "error", 4)
    assert line["time"].endswith("+00:00")
