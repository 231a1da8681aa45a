"""No password of a camera is ever shown: a random one, in every form of address, in every place where texts go."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import pickle
import socket
import string
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import click
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgeseg.core.console import run_command
from edgeseg.core.errors import EdgesegError
from edgeseg.core.private import Secret, shown_place, without_typed_secrets
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.service.config import read_config
from edgeseg.runtime.sinks.open import parse_sink
from edgeseg.runtime.sources.addresses import parse_source
from edgeseg.runtime.sources.source import Source, SourceOptions

FORMS = [
    "rtsp://me:{}@cam/1",
    "rtsp://{}:x@cam/1",
    "rtsp://me:{}@cam:port/1",
    "rtsp://me:12/{}@cam/1",
    "rtsp://me:a {}@cam/1",
    "rtsp://me:a\t{}@cam/1",
    "rtsp://me:a?{}@cam/1",
    "rtsp://me:a#{}@cam/1",
    "rtsp://me:a@{}@cam/1",
    "rtsp://me:a\\{}@cam/1",
    "rtsp://cam/1?user=me&password={}",
    "rtsp://cam/1?passphrase={}",
    "http://cam/1?sig={}",
    "http://cam/1?{}",
    "http://cam/1?p=a&{}=b",
    "rtsp://cam/user=me_password={}_channel=1.sdp",
    "rtsp://cam/1;token={}",
    "rtsp:/me:{}@cam/1",
    "rtsp:me:{}@cam/1",
    " rtsp://me:{}@cam/1",
    "rtpsx://me:{}@cam/1",
    "//me:{}@cam/1",
    "me:{}@cam/1",
    "me:{}@rtsp://cam/1",
    "csi://me:{}@cam",
    "v4l2://me:{}@cam",
    "scenes://me:{}@cam",
    "scenes://?{}=1&x=@",
    "file://me:{}@cam/1.mp4",
    "gst://rtspsrc location=rtsp://me:{}@cam/1 ! decodebin",
    "gst://rtspsrc location=rtsp://cam/1 user-id=me user-pw={} ! decodebin",
    'gst://rtspsrc location=rtsp://cam/1 user-id=me user-pw="a {}" ! decodebin',
    "gst://rtspsrc user-pw = '{}' ! decodebin",
    "gst://rtspsrc user-pw=a {} ! decodebin",
    'gst://rtspsrc user-pw="{}',
    "gst://souphttpsrc extra-headers=a,authorization={}",
]
# Letters first and last, so that no word of a message is one by chance; what quoting changes in between.
PASSWORDS = st.builds(
    lambda middle: f"Zq{middle}xW",
    st.text(string.ascii_letters + string.digits + "-_.~!$&'*+,;=:", min_size=4, max_size=20),
)


def said_of(form: str, password: str) -> str:
    """All that parsing an address can say of it, as a source, in a settings file, and as an output."""
    typed, texts = form.replace("{}", password), []
    try:
        source = parse_source(typed)
    except EdgesegError as error:
        texts.append(str(error))
    else:
        texts += [source.uri, repr(source), str(source), f"{source.address}", repr(dataclasses.asdict(source.options))]
        texts.append(source.without_secrets(f"cannot open {typed}: 404"))
        if source.address:
            texts += [source.without_secrets(f"{source.address.reveal()} failed"), repr(vars(source))]
        assert Source.from_dict(json.loads(json.dumps(source.to_dict()))) == source
    try:
        parse_sink(typed)
    except EdgesegError as error:
        texts.append(str(error))
    return "\n".join(texts)


@pytest.mark.parametrize("form", FORMS)
@given(PASSWORDS)
@example("Zq-hush-xW")
@settings(max_examples=40, deadline=None)
def test_a_random_password_is_in_no_text_about_a_source(form: str, password: str) -> None:
    said = said_of(form, password)
    for secret in (password, quote(password, safe=""), quote(password)):
        assert secret not in said


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith(("rtsp", "gst", "http", "me", "//"))])
def test_a_settings_file_with_a_secret_in_it_is_refused_without_repeating_it(form: str, tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    typed = form.replace("{}", "Zq-hush-xW")
    harmless = ("?{}", "&{}=b", "user-pw=a {}")  # nothing says that these are secrets; what is shown hides them
    for key, value in (("source", typed), ("stats", [typed]), ("backend", typed), (typed, 1)):
        path.write_text(f"{json.dumps(key)} = {json.dumps(value)}\n")
        said = "accepted"
        try:
            read_config(path, click.Context(camera))
        except EdgesegError as error:
            said = str(error)
        assert "hush" not in said
        assert said != "accepted" or (key == "source" and any(each in form for each in harmless)), form


def test_what_a_library_says_of_a_camera_is_shown_without_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESEG_SOURCE_CREDENTIALS", "mia:s3cr/t hush")
    source = parse_source("rtsp://cam:554/1?channel=2&token=a%2Fbcde")
    assert source.uri == "rtsp://***@cam:554/1?channel=2&***"
    login = base64.b64encode(b"mia:s3cr/t hush").decode()
    for told in (
        "Server returned 401 for rtsp://mia:s3cr%2Ft%20hush@cam:554/1?channel=2&token=a%2Fbcde",
        "no route for mia:s3cr/t hush",
        f"Authorization: Basic {login}",
        "bad token a/bcde",
        "GET /1?channel=2&token=a%2Fbcde",
    ):
        shown = source.without_secrets(told)
        assert "***" in shown
        assert not any(each in shown for each in ("hush", "s3cr", "bcde", login))


def test_a_secret_cannot_be_printed_nor_written() -> None:
    secret = Secret("hush")
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret!r:>9}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert "hush" not in shown
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(secret)
    assert (secret, secret.reveal()) == (Secret("hush"), "hush")


@pytest.mark.usefixtures("process")
def test_an_address_in_the_wrong_place_is_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = "rtsp://me:hush@cam/1"
    for arguments in (
        ["scenes://", "--model", typed],
        ["scenes://", "--model", "rtsp:/me:hush@cam/1"],
        ["scenes://", "--spec", typed],
        ["scenes://", "--output", typed],
        ["scenes://", "--report", typed],
        ["scenes://", "--frames", typed],
        ["scenes://", f"--frames={typed}"],
        ["scenes://", f"--{typed}"],
        ["scenes://", "--config", typed],
        ["scenes://", "--source-credentials", "me:hush"],
        ["rtsp://cam/1", "--model", "x.onnx", "--source-credentials", "me:hush"],
        ["scenes://", typed],
        ["rtsp://me:a", "hush", "b@cam/1"],
    ):
        monkeypatch.setattr(sys, "argv", ["edgeseg-camera", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_command(camera, "edgeseg-camera")
        said = "".join(capsys.readouterr())
        assert ended.value.code not in (0, 1), arguments
        assert "hush" not in said, arguments
        assert said.count("\n") == 1


def test_what_is_no_address_is_shown_as_it_is() -> None:
    assert shown_place("drive 7/a.mp5") == "'drive 7/a.mp5'"
    message = "data/camvid:x?classes=a=b: no such folder"
    assert without_typed_secrets(message, ["--data", "data/camvid:x?classes=a=b"]) == message
    assert without_typed_secrets("scenes://?size=1x1: too small", ["scenes://?size=1x1"]).startswith("scenes://?size")


@contextmanager
def camera_that_refuses() -> Iterator[tuple[int, list[bytes]]]:
    """An RTSP camera that never lets anybody in."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    channel, _ = server.accept()
                except TimeoutError:
                    continue
                with channel:
                    channel.settimeout(1)
                    while True:
                        try:
                            data = channel.recv(4096)
                        except OSError:
                            break
                        if not data:
                            break
                        heard.append(data)
                        number = next((e for e in data.split(b"\r\n") if e.lower().startswith(b"cseq")), b"CSeq: 1")
                        reply = b'401 Unauthorized\r\nWWW-Authenticate: Basic realm="a"\r\n'
                        channel.sendall(b"RTSP/1.0 " + reply + number + b"\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            over.set()
            thread.join()


def spied(process: subprocess.Popen[bytes]) -> str:
    """What any user may see of a process and its children, and their environments, which they hand on."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(entry.name) == process.pid or int(stat[1]) == process.pid:
                found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            if int(stat[1]) == process.pid:
                found.append((entry / "environ").read_bytes().decode(errors="replace"))
        except (OSError, ValueError):
            continue
    return "\n".join(found)


def test_a_whole_run_shows_its_camera_s_password_nowhere(write_model: Callable[..., Path], tmp_path: Path) -> None:
    """Standard output, standard error, log, statistics, summary, process list and the children's environment."""
    password = f"hush-{os.urandom(4).hex()}"
    files = {name: tmp_path / name for name in ("stats.jsonl", "summary.json", "out.log", "err.log")}
    with camera_that_refuses() as (port, heard):
        command = [sys.executable, "-m", "edgeseg.runtime", f"rtsp://127.0.0.1:{port}/1?channel=1"]
        command += ["--model", str(write_model()), "--backend", "onnxruntime-cpu", "--log-json"]
        command += ["--stats", str(files["stats.jsonl"]), "--summary", str(files["summary.json"])]
        command += ["--give-up-seconds", "4", "--record", str(tmp_path / "drive")]
        environment = {**os.environ, "EDGESEG_SOURCE_CREDENTIALS": f"me:{password}"}
        with files["out.log"].open("wb") as out, files["err.log"].open("wb") as err:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=err)
            seen = []
            while process.poll() is None:
                seen.append(spied(process))
                time.sleep(0.2)
    texts = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()] + seen
    login = base64.b64encode(f"me:{password}".encode())
    assert process.returncode == 3
    assert any(login in each for each in heard)  # it went to the camera, and so was at work
    assert any(len(each.splitlines()) > 2 for each in seen)
    for secret in (password, login.decode()):
        assert not [text for text in texts if secret in text]
    assert f"rtsp://***@127.0.0.1:{port}/1?channel=1" in files["err.log"].read_text()


def test_options_of_a_source_hold_the_name_of_a_file_and_no_login() -> None:
    assert "credentials" in {each.name for each in dataclasses.fields(SourceOptions)}
