"""edgeseg-camera --config and --check-config: every option in a file, as typed; what is wrong is said with its key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.runtime.commands.camera import camera, main
from edgeseg.runtime.service.config import keys

WriteModel = Callable[..., Path]

# Each option: as TOML, and as it is typed.
EVERY_OPTION: dict[str, tuple[str, list[str]]] = {
    "source": ('"scenes://"', ["scenes://"]),
    "model": ('"/m/model.onnx"', ["--model", "/m/model.onnx"]),
    "spec": ('"/m/spec.json"', ["--spec", "/m/spec.json"]),
    "threads": ("2", ["--threads", "2"]),
    "backend": ('"openvino"', ["--backend", "openvino"]),
    "require-gpu": ("true", ["--require-gpu"]),
    "accept-changed-model": ("true", ["--accept-changed-model"]),
    "min-fps": ("12", ["--min-fps", "12"]),
    "in-flight": ("2", ["--in-flight", "2"]),
    "cuda-graph": ("false", ["--no-cuda-graph"]),
    "tf32": ("true", ["--tf32"]),
    "workspace-mb": ("512", ["--workspace-mb", "512"]),
    "every-frame": ("true", ["--every-frame"]),
    "loop": ("true", ["--loop"]),
    "source-rate": ("12.5", ["--source-rate", "12.5"]),
    "source-size": ('"1280x720"', ["--source-size", "1280x720"]),
    "source-transport": ('"udp"', ["--source-transport", "udp"]),
    "source-latency-ms": ("50", ["--source-latency-ms", "50"]),
    "source-decoder-threads": ("2", ["--source-decoder-threads", "2"]),
    "source-format": ('"yuyv"', ["--source-format", "yuyv"]),
    "source-flip": ('"vertical"', ["--source-flip", "vertical"]),
    "source-exposure-us": ("900", ["--source-exposure-us", "900"]),
    "source-credentials": ('"/c/secret"', ["--source-credentials", "/c/secret"]),
    "frames": ("7", ["--frames", "7"]),
    "seconds": ("1.5", ["--seconds", "1.5"]),
    "deadline-ms": ("100", ["--deadline-ms", "100"]),
    "no-deadline": ("true", ["--no-deadline"]),
    "stall-seconds": ("3", ["--stall-seconds", "3"]),
    "frozen-ms": ("0", ["--frozen-ms", "0"]),
    "plausibility": ("false", ["--no-plausibility"]),
    "give-up-seconds": ("inf", ["--give-up-seconds", "inf"]),
    "output": ('["/o/a.mkv", "/o/masks/"]', ["--output", "/o/a.mkv", "--output", "/o/masks/"]),
    "record": ('"/o/drive"', ["--record", "/o/drive"]),
    "opacity": ("0.25", ["--opacity", "0.25"]),
    "live-token": ('"/c/token"', ["--live-token", "/c/token"]),
    "live-tls": ('"/c/page.pem"', ["--live-tls", "/c/page.pem"]),
    "legend": ("false", ["--no-legend"]),
    "report": ('"road"', ["--report", "road"]),
    "road-class-name": ('"lane"', ["--road-class-name", "lane"]),
    "road-region": ('"0,0,9,9"', ["--road-region", "0,0,9,9"]),
    "road-bonnet": ('"/b.png"', ["--road-bonnet", "/b.png"]),
    "road-smooth": ("3", ["--road-smooth", "3"]),
    "quota": ('"20GB"', ["--quota", "20GB"]),
    "stats": ('"/o/s.jsonl"', ["--stats", "/o/s.jsonl"]),
    "summary": ('"/o/s.json"', ["--summary", "/o/s.json"]),
    "quiet": ("true", ["--quiet"]),
    "log-json": ("true", ["--log-json"]),
    "max-pixels": ("9000000", ["--max-pixels", "9000000"]),
    "metrics-port": ("9101", ["--metrics-port", "9101"]),
}


def parsed(*arguments: object) -> dict[str, Any]:
    return camera.make_context("edgeseg-camera", [str(each) for each in arguments]).params


def write(folder: Path, text: str) -> Path:
    path = folder / "camera.toml"
    path.write_text(text)
    return path


def test_every_option_of_the_command_line_may_be_in_the_file_and_means_the_same(tmp_path: Path) -> None:
    assert set(EVERY_OPTION) == set(keys(camera)), "an option has come or gone: this table is to follow"
    typed = [part for _, parts in EVERY_OPTION.values() for part in parts]
    for style in (str, lambda key: key.replace("-", "_")):
        path = write(tmp_path, "".join(f"{style(key)} = {value}\n" for key, (value, _) in EVERY_OPTION.items()))
        assert parsed("--config", path) == parsed(*typed)


def test_what_is_typed_counts_before_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, 'source = "csi://0"\nmodel = "m.onnx"\nlegend = false\nframes = 7\noutput = "a.mkv"\n')
    typed = parsed("--config", path, "scenes://", "--frames", 9, "--legend", "--output", "b.mkv")
    assert (typed["source"], typed["frames"], typed["legend"]) == ("scenes://", 9, True)
    assert typed["outputs"] == ("b.mkv",)
    assert typed["model"] == tmp_path / "m.onnx"
    assert parsed("--config", path, "--model", "other.onnx")["model"] == Path("other.onnx")


@pytest.fixture(autouse=True)
def _no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may run in a service themselves."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("source", "drive.mp4", "{}/drive.mp4"), ("source", "file://drive.mp4", "file://{}/drive.mp4"),
        ("source", "pictures/*.png", "{}/pictures/*.png"), ("source", "csi://0", "csi://0"),
        ("source", "rtsp://camera/1", "rtsp://camera/1"), ("source", "gst://videotestsrc", "gst://videotestsrc"),
        ("source", "file://a@b.mp4", "file://{}/a@b.mp4"),
        ("source", "gst://filesrc location=/a@b", "gst://filesrc location=/a@b"),
        ("source", "0", "0"), ("source", "/drive.mp4", "/drive.mp4"),
        ("output", "masks/", "{}/masks/"), ("output", "masks[1]/", "{}/masks[1]/"), ("output", "file://o.mkv", "file://{}/o.mkv"),
        ("output", "unix://m.sock", "unix://{}/m.sock"), ("output", "display://", "display://"),
        ("record", "drive", "{}/drive"), ("stats", "s.jsonl", "{}/s.jsonl"), ("spec", "s.json", "{}/s.json"),
        ("source-credentials", "secret", "{}/secret"), ("road-bonnet", "../b.png", "{}/../b.png"),
        ("quota", "20GB", "20GB"),
    ],
)  # fmt: skip
def test_paths_in_the_file_are_relative_to_it(tmp_path: Path, key: str, value: str, expected: str) -> None:
    path = write(tmp_path, f'{key} = "{value}"\n')
    rest = [] if key == "source" else ["scenes://"]
    found = parsed("--config", path, *rest, "--model", "m.onnx")
    value = found[keys(camera)[key].name]
    assert str(value[0] if isinstance(value, tuple) else value) == expected.format(tmp_path)


def test_a_glob_in_the_file_is_not_led_astray_by_the_name_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "drive [1]"
    folder.mkdir()
    (folder / "a.png").touch()
    from edgeseg.runtime.sources.addresses import image_paths, parse_source

    found = parsed("--config", write(folder, 'source = "*.png"\n'), "--model", "m.onnx")
    assert image_paths(parse_source(found["source"])) == [folder / "a.png"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dead_line_ms = 100", "unknown key 'dead_line_ms' (did you mean deadline-ms?)"),
        ("check-config = true", "unknown key 'check-config'"), ("[source]\nrate = 3", "expected a text in quotes"),
        ('config = "b.toml"', "unknown key 'config'"), ("frames = 2.7", "frames = 2.7; expected a whole number"),
        ("frames = true", "expected a whole number"), ("frames = 0", "frames = 0: 0 is not a whole number from 1 to"),
        ('loop = "no"', "loop = 'no'; expected true or false"), ("loop = 1", "expected true or false"),
        ("model = 3", "expected a text in quotes"), ('deadline-ms = "fast"', "expected a number"),
        ("deadline-ms = 1\ndeadline_ms = 2", "deadline-ms is there twice"),
        ("seconds = nan", "seconds = nan; expected a finite number"), ("seconds = inf", "inf is not a number above 0"),
        ('stats = "a\\u0000b"', "expected a text in quotes"),
        ("output = [1]", "expected a text in quotes, or a list of them"),
        ('source-size = "big"', "source-size = 'big'"), ('backend = "tensorflow"', "backend = 'tensorflow'"),
        *(
            (f"source = '{secret}'", "source holds a user's name or password")
            for secret in (
                "rtsp://me:word@camera/1", "HTTPS://me:word@camera/1",
                "gst://rtspsrc location=rtsp://me:word@camera/1 ! appsink",
                "gst://rtspsrc location=rtsp://camera/1 user-id=me user-pw=me:word ! appsink",
                'gst://uridecodebin uri="srt://me:word@camera:9000" ! appsink',
            )
        ),
        ("frames", "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_said_with_its_key(tmp_path: Path, text: str, reason: str) -> None:
    path = write(tmp_path, text + "\n")
    with pytest.raises(UsageError) as said:
        parsed("--config", path, "scenes://", "--model", "m.onnx")
    assert reason in str(said.value)
    assert str(said.value).startswith(str(path))
    assert "me:word" not in str(said.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"source = '\xe9'\n")
    for name, reason in (("none.toml", "No such file"), ("latin.toml", "not UTF-8"), (".", "Is a directory")):
        with pytest.raises(UsageError, match=reason):
            parsed("--config", tmp_path / name)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("output", "drive.mkv", "/var/lib/front/drive.mkv"), ("output", "unix://m.sock", "unix:///var/lib/front/m.sock"),
        ("output", "/mnt/drive.mkv", "/mnt/drive.mkv"), ("record", "drive", "/var/lib/front/drive"),
        ("stats", "s.jsonl", "/var/lib/front/s.jsonl"), ("summary", "s.json", "/var/lib/front/s.json"),
        ("spec", "s.json", "{}/s.json"), ("source-credentials", "secret", "{}/secret"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("folders", ["/var/lib/front", "/var/lib/front:/var/lib/second"])
def test_what_a_service_writes_is_relative_to_the_folder_that_systemd_made_for_it(
    tmp_path: Path, key: str, value: str, expected: str, folders: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", folders)
    found = parsed("--config", write(tmp_path, f'{key} = "{value}"\n'), "scenes://", "--model", "m.onnx")
    value = found[keys(camera)[key].name]
    assert str(value[0] if isinstance(value, tuple) else value) == expected.format(tmp_path)


def call(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgeseg.runtime", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, cwd="/")


def test_a_camera_runs_by_a_file_alone(write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    path = write(
        tmp_path,
        f'source = "scenes://?size=128x72&frames=4"\nmodel = "{model.name}"\nbackend = "onnxruntime-cpu"\n'
        'every-frame = true\nsummary = "summary.json"\n',
    )
    done = call("--config", path)
    assert done.returncode == 0, done.stderr
    assert "4 captured = 4 processed" in done.stdout
    assert (tmp_path / "summary.json").is_file()


AS_NOBODY = """
import os, sys
from pathlib import Path
from edgeseg.core.errors import UsageError
from edgeseg.runtime.service.check import check_could_be_written
from edgeseg.runtime.sinks.kinds.recording import check_new
os.setgroups([]), os.setgid(65534), os.setuid(65534)
for check in (check_could_be_written, check_new):
    try:
        check(Path(sys.argv[1]))
        sys.exit(f"{check.__name__} has found nothing")
    except UsageError as error:
        assert "cannot be" in str(error), error
check_could_be_written(Path("/tmp/new-folder/file"))
"""


def test_what_this_user_may_not_even_look_at_cannot_be_written(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user takes root")
    closed = tmp_path / "closed"
    (closed / "within").mkdir(parents=True)
    closed.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(closed / "within" / "drive")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_check_config_says_what_would_be_done_and_does_nothing(write_model: WriteModel, tmp_path: Path) -> None:
    model = write_model()
    path = write(
        tmp_path,
        f'source = "v4l2:///dev/video-none"\nmodel = "{model.name}"\nbackend = "onnxruntime-cpu"\n'
        'output = ["new/overlay.mkv", "record://new/drive"]\nquota = "2h"\nmetrics-port = 9101\nreport = "road"\n'
        'road-class-name = "red"\nroad-region = "0,0,1,1"\n',
    )
    done = call("--config", path, "--check-config", "--deadline-ms", 90)
    assert done.returncode == 0, done.stderr
    for said in (
        "source  v4l2:///dev/video-none", "is not there now", f"model   {model}", "frames of 128x72",
        "engine  onnxruntime-cpu", f"output  {tmp_path}/new/overlay.mkv", "option  quota = 2h (of the file)",
        "option  deadline-ms = 90.0 (typed)", "All of it is good",
    ):  # fmt: skip
        assert said in done.stdout
    assert sorted(each.name for each in tmp_path.iterdir()) == ["camera.toml", model.name]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('source = "drive.mp4"', "no such file or folder"),
        ('model = "none.onnx"', "no such file"),
        ('source = "csi://0"\nevery-frame = true', "a camera waits for nobody"),
        ('output = "overlay.mkv"\nquota = "much"', "quota 'much'"),
        ('report = "road"\nroad-class-name = "lane"', "lane"),
        ('output = "model.onnx/overlay.mkv"', "cannot be written"),
        ('stats = "model.onnx"', "a place of its own"),
        ('backend = "onnxruntime-cuda"', "no engine works here"),
        ('output = "record://model.onnx"', "is an input"),
    ],
)
def test_check_config_ends_with_2_whatever_is_wrong(
    write_model: WriteModel,
    tmp_path: Path,
    text: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_model().rename(tmp_path / "model.onnx")
    rest = "".join(
        f"{key} = {value}\n"
        for key, value in (("source", '"scenes://"'), ("model", '"model.onnx"'), ("backend", '"onnxruntime-cpu"'))
        if f"{key} =" not in text
    )
    path = write(tmp_path, f"{text}\n{rest}")
    monkeypatch.setattr(sys, "argv", ["edgeseg-camera", "--config", str(path), "--check-config"])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert (end.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert reason in said.err
