"""The live page's server as its viewers meet it: who may look on, and who is sent what."""

import contextlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.settings import SinkSettings
from edgeseg.runtime.sinks.kinds.live.clock import Exchange, ViewerClock
from edgeseg.runtime.sinks.web_address import check_web
from tests.helpers.live.page import LiveRun, PlainViewer, delivery, wait_until

exceptions = pytest.importorskip("websockets.exceptions")
TOKEN = "0123456789abcdef0123456789abcdef"


def get(url: str, path: str = "/", **headers: str) -> http.client.HTTPResponse:
    split = urlsplit(url)
    channel = http.client.HTTPConnection(str(split.hostname), split.port, timeout=10)
    channel.request("GET", path, headers=headers)
    return channel.getresponse()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def test_a_viewer_gets_no_third_picture_before_it_has_drawn_one(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run, PlainViewer(run.url) as viewer:
        viewer.take("hello")
        wait_until(lambda: run.sink.needs_picture)
        for _ in range(6):
            run.put()
            time.sleep(0.05)
        first, second = viewer.take("frame"), viewer.take("frame")
        assert [first["frame"], second["frame"]] == [0, 1]
        wait_until(lambda: not run.sink.needs_picture)
        viewer.acknowledge(first)
        wait_until(lambda: run.sink.needs_picture)
        run.put()
        assert viewer.take("frame")["frame"] == 6  # the newest, not the third
        assert run.sink.counts()["sent"] == 3


def test_without_viewers_no_picture_is_asked_for_and_every_slot_comes_back(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run:
        assert not run.sink.needs_picture
        for _ in range(3):
            run.put()
        assert run.released == [0, 1, 2]
        with PlainViewer(run.url) as viewer:
            viewer.take("hello")
            for _ in range(40):  # it acknowledges nothing: the need for a picture comes and goes
                run.put()
        wait_until(lambda: not run.sink.needs_picture)
    assert sorted(run.released) == list(range(43))


def test_a_viewer_that_reads_nothing_slows_no_other(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run, PlainViewer(run.url) as stuck, PlainViewer(run.url) as quick:
        stuck.take("hello")
        run.feed()
        frames = []
        for _ in range(15):
            frames.append(quick.take("frame"))
            quick.acknowledge(frames[-1])
        ages = [time.monotonic() * 1e3 - each["captured"] for each in frames[-1:]]
        assert frames[-1]["frame"] - frames[0]["frame"] < 30
        assert ages[0] < 1000


def test_a_heartbeat_says_how_the_source_fares_and_the_clock_is_found(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run, PlainViewer(run.url) as viewer:
        viewer.take("hello")
        run.outputs.ledger.source.stalls = 1
        run.outputs.ledger.source.away.begin(time.monotonic() - 3)
        run.feed()
        viewer.take("beat")
        found = viewer.take("beat")
        assert found["health"]["stalls"] == 1
        assert 3 <= found["away_s"] < 10
        assert abs(found["clock"]["offset"]) < 50  # of one machine: the clocks are one


def test_the_offset_is_the_quickest_exchanges_and_impossible_ones_are_left_out() -> None:
    clock = ViewerClock()
    assert clock.estimate() is None
    clock.add(Exchange(0.0, 1900.0, 1910.0, 930.0))  # a picture: 900 ms to come, 20 ms to answer; 1000 ms ahead
    clock.add(Exchange(2000.0, 3010.0, 3012.0, 2022.0))
    clock.add(Exchange(3000.0, 9.0, 4.0, 3001.0))
    clock.add(Exchange(3000.0, float("nan"), 4.0, 3001.0))
    assert clock.estimate() == {"offset": 1000.0, "round_trip": 20.0}


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_another_site_may_not_look_on(colour_spec: ModelSpec, origin: str) -> None:
    with LiveRun(colour_spec) as run, pytest.raises(exceptions.InvalidStatus, match="403"):
        PlainViewer(run.url, Origin=origin)


def test_only_loopback_names_are_answered_without_a_token_with_any_port(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run:
        for host in ("localhost:9999", "127.0.0.1", "[::1]:80", "camera.localhost:1"):
            assert get(run.url, Host=host).status == 200
        for host in ("evil.example", "127.0.0.1.evil.example:8080", "10.0.0.1", "a b", ""):
            assert get(run.url, Host=host).status in (400, 403)


def test_the_page_takes_nothing_from_elsewhere(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run:
        answer = get(run.url)
        text = answer.read().decode()
        policy = str(answer.headers["Content-Security-Policy"])
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "//" not in text.replace("<!DOCTYPE html>", "")
        for path in ("/main.js", "/page.css", "/icon.svg"):
            assert get(run.url, path).status == 200
        for path in ("/sink.py", "/../sink.py", "/%2e%2e/sink.py", "/page/main.js", "/etc/passwd"):
            assert get(run.url, path).status == 404


def test_the_token_is_said_once_and_a_cookie_follows(colour_spec: ModelSpec, token_file: Path) -> None:
    with LiveRun(colour_spec, SinkSettings(live_token=token_file)) as run:
        assert TOKEN not in "".join(run.said)
        assert get(run.url).status == 401
        assert get(run.url, f"/?token={TOKEN[::-1]}").status == 401
        answer = get(run.url, f"/?token={TOKEN}")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = str(answer.headers["Set-Cookie"])
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {each.strip() for each in cookie.split(";")}
        assert TOKEN not in cookie
        pair = cookie.partition(";")[0]
        assert get(run.url, Cookie=f"other=1; {pair}").status == 200
        assert get(run.url, Cookie=f"{pair}0").status == 401
        with pytest.raises(exceptions.InvalidStatus, match="401"):
            PlainViewer(run.url)
        with PlainViewer(run.url, Cookie=pair) as viewer:
            viewer.take("hello")


def test_cookies_of_two_pages_on_one_machine_have_two_names(colour_spec: ModelSpec, token_file: Path) -> None:
    names = set()
    for host in ("127.0.0.1", "localhost"):
        with LiveRun(colour_spec, SinkSettings(live_token=token_file), f"http://{host}:0") as run:
            names.add(str(get(run.url, f"/?token={TOKEN}").headers["Set-Cookie"]).partition("=")[0])
    assert len(names) == 2


def test_the_ninth_viewer_is_told_why_it_sees_nothing(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run:
        viewers = [PlainViewer(run.url) for _ in range(8)]
        for viewer in viewers:
            viewer.take("hello")
        with PlainViewer(run.url) as late, pytest.raises(exceptions.ConnectionClosed, match="8 viewers"):
            late.take("hello")
        viewers.pop().channel.close()
        time.sleep(0.2)
        with PlainViewer(run.url) as next_one:
            next_one.take("hello")
        for viewer in viewers:
            viewer.channel.close()


@pytest.mark.parametrize(
    "said", ["[]", "null", '"x"', "{}", '{"sent": "now"}', "[" * 900, '{"sent": 1, "received": []}']
)
def test_a_viewer_that_says_what_no_page_says_is_sent_away(colour_spec: ModelSpec, said: str) -> None:
    with LiveRun(colour_spec) as run:
        with PlainViewer(run.url) as viewer:
            viewer.channel.send(said)
            with pytest.raises(exceptions.ConnectionClosed):
                viewer.take("never")
        with PlainViewer(run.url) as other:
            other.take("hello")


def test_a_viewer_that_talks_without_end_is_sent_away(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run, PlainViewer(run.url) as viewer:
        with contextlib.suppress(exceptions.ConnectionClosed):
            for _ in range(1000):
                viewer.channel.send(json.dumps({"paused": False}))
        with pytest.raises(exceptions.ConnectionClosed, match="no message"):
            viewer.take("never")


def test_slow_headers_and_too_many_connections_end_and_keep_nobody_out(
    colour_spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.runtime.sinks.kinds.live.server._HEADERS_S", 0.5)
    with LiveRun(colour_spec) as run:
        split = urlsplit(run.url)
        slow = [socket.create_connection((str(split.hostname), split.port or 0)) for _ in range(80)]
        for each in slow:
            each.settimeout(10)
        assert slow[-1].recv(1) == b""  # one too many: ended at once
        slow[0].sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert slow[0].recv(1) == b""
        assert wait_until(lambda: _status(run.url)) == 200
        for each in slow:
            each.close()


def _status(url: str) -> int | None:
    try:
        return get(url).status
    except OSError:
        return None


def test_tls_by_file(colour_spec: ModelSpec, tmp_path: Path) -> None:
    pem = tmp_path / "page.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 1"
    subprocess.run([*make.split(), "-keyout", pem, "-out", f"{pem}.crt"], check=True, capture_output=True)
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    with LiveRun(colour_spec, SinkSettings(live_tls=pem), "https://127.0.0.1:0") as run:
        split = urlsplit(run.url)
        assert split.scheme == "https"
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        channel = http.client.HTTPSConnection(str(split.hostname), split.port, context=trusting, timeout=10)
        channel.request("GET", "/")
        assert channel.getresponse().status == 200
    pem.write_text("no certificate")
    with pytest.raises(UsageError, match="PEM file"):
        LiveRun(colour_spec, SinkSettings(live_tls=pem), "https://127.0.0.1:0")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("http://0.0.0.0:8080", "give --live-token"),
        ("http://camera.example:8080", "give --live-token"),
        ("https://127.0.0.1:8080", "without --live-tls"),
        ("http://127.0.0.1", "a port"),
        ("http://127.0.0.1:99999", "a port"),
        ("http://127.0.0.1:8080/live", "a port"),
        ("http://me:hush@127.0.0.1:8080", "a port"),
    ],
)
def test_an_address_that_is_none_or_open_to_all_is_refused_before_the_run(uri: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as refused:
        check_web([uri], SinkSettings())
    assert "hush" not in str(refused.value)


def test_a_token_that_others_can_read_or_guess_is_refused(token_file: Path) -> None:
    settings = SinkSettings(live_token=token_file)
    check_web(["http://0.0.0.0:8080"], settings)
    token_file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod o-rwx"):
        check_web(["http://0.0.0.0:8080"], settings)
    token_file.chmod(0o600)
    for content in (b"short", b"two words of some length", os.urandom(40), b""):
        token_file.write_bytes(content)
        with pytest.raises(UsageError, match="openssl rand") as refused:
            check_web(["http://0.0.0.0:8080"], settings)
        assert "two words" not in str(refused.value)
    with pytest.raises(UsageError, match="live page"):
        check_web(["masks/"], settings)


def test_a_port_that_is_taken_ends_the_run_before_it_begins(colour_spec: ModelSpec) -> None:
    with LiveRun(colour_spec) as run:
        taken = run.url.rstrip("/")
        with pytest.raises(UsageError, match="choose another port"), LiveRun(colour_spec, uri=taken):
            pass
        run.outputs.deliver(delivery(0, colour_spec.input_size), lambda: None)
    assert run.outputs.failures() == []
