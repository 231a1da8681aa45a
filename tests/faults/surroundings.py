"""Limits, deleted places, clients and environments of a camera at work."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.process import Case, Running
from tests.faults.working_camera import BEFORE_EDGESEG, ENDS_BY_ITSELF, FINE, after_masks, work, write_model

SECRET = "Hn5yWc2R"
_LIBRARIES = "OpenBLAS error|terminate called|libgomp: "  # end the process where they get no memory
_HOSTILE = ("json", "sys", "os", "numpy", "cv2", "click", "socket", "struct", "onnxruntime", "edgeseg")


def surroundings() -> Iterator[Case]:
    yield from _limits()
    yield from _places()
    yield from _clients()
    yield from _environments()


def _limits() -> Iterator[Case]:
    failed = frozenset({0, 2, 3, 4, 5})
    for mebibytes in (100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2500):
        yield Case(
            f"{mebibytes} MiB of address space",
            ENDS_BY_ITSELF,
            failed,
            prepare=write_model,
            excuse=_LIBRARIES,
            limits={resource.RLIMIT_AS: mebibytes * 2**20},
        )
    for descriptors in (4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48):
        yield Case(
            f"{descriptors} descriptors",
            ENDS_BY_ITSELF,
            failed,
            prepare=write_model,
            excuse=BEFORE_EDGESEG,
            limits={resource.RLIMIT_NOFILE: descriptors},
        )
    for size in (0, 100, 2000, 20_000):
        yield Case(
            f"files and shared memory of at most {size} bytes",
            ENDS_BY_ITSELF,
            frozenset({2, 3}),
            prepare=write_model,
            limits={resource.RLIMIT_FSIZE: size},
        )
        for output in ("o.mkv", "masks/", "record://drive"):
            yield work(
                f"files of at most {size} bytes from now on, {output}",
                _limits_files(size),
                "--output",
                output,
                codes=frozenset({0, 2}),
            )


def _limits_files(size: int) -> Callable[[Running], None]:
    def limit(running: Running) -> None:
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, size))
        time.sleep(0.5)

    return after_masks(limit)


def _places() -> Iterator[Case]:
    def removed(name: str) -> Callable[[Running], None]:
        def remove(running: Running) -> None:
            path = running.folder / name
            running.wait_for(path.exists)
            _remove(path)
            time.sleep(1.5)

        return after_masks(remove)

    for output, name in (
        ("o.mkv", "o.mkv"),
        ("masks/", "masks"),
        ("record://drive", "drive"),
        ("unix://s", "s"),
        ("masks/", "m.onnx"),
        ("masks/", "stats.jsonl"),
    ):
        yield work(
            f"{name} is removed while {output} is written", removed(name), "--output", output, codes=frozenset({0, 2})
        )
    yield work("its folder is removed", after_masks(_remove_folder), codes=frozenset({0, 2}))
    for name in ("stats.jsonl", "summary.json"):
        yield work(
            f"{name} becomes a folder",
            partial(_becomes_folder, name),
            codes=frozenset({0, 2}),
        )
    for target in ("loop", "/dev/null", "/proc/nowhere/x"):
        yield Case(
            f"summary.json is a link to {target}",
            ENDS_BY_ITSELF,
            frozenset({0, 2}),
            prepare=partial(_with_link, target),
        )


def _remove_folder(running: Running) -> None:
    _remove(running.folder)


def _remove(path: Path) -> None:
    """Remove what a process may be writing: a folder is not empty again before it is gone."""
    end = time.monotonic() + 10
    while path.is_dir() and time.monotonic() < end:
        shutil.rmtree(path, ignore_errors=True)
    if not path.is_dir():
        path.unlink(missing_ok=True)


def _with_link(target: str, folder: Path) -> None:
    write_model(folder)
    (folder / "summary.json").symlink_to(target)


def _becomes_folder(name: str, running: Running) -> None:
    running.masks()
    (running.folder / name).unlink(missing_ok=True)
    (running.folder / name).mkdir()
    time.sleep(1.5)


def _clients() -> Iterator[Case]:
    def readers(kind: str) -> Callable[[Running], None]:
        def connect(running: Running) -> None:
            held = []
            for _ in range(80):
                reader = socket.socket(socket.AF_UNIX)
                with contextlib.suppress(OSError):
                    reader.connect(str(running.folder / "s"))
                    if kind == "talk":
                        reader.send(b"\xff" * 5000)
                if kind == "leave":
                    reader.close()
                held.append(reader)
            time.sleep(0.5)
            for each in held:
                each.close()

        return after_masks(connect)

    for kind in ("never read", "talk", "leave"):
        yield work(f"80 readers of the socket that {kind}", readers(kind), "--output", "unix://s")
    requests = {
        "nothing": b"",
        "half": b"GET /met",
        "binary": os.urandom(3000),
        "long": b"GET /" + b"a" * 70_000,
        "post": b"POST / x\r\n\r\n",
        "other hosts": b"GET http://evil/ HTTP/1.1\r\nHost: evil\r\n\r\n",
        "headers": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        "accept": b"GET /metrics HTTP/1.1\r\nAccept: \xff;q=nan,application/openmetrics-text;version=x\r\n\r\n",
        "query": b"GET /?name[]=%ff&name[]= HTTP/1.1\r\n\r\n",
        "version": b"GET / HTTP/9.9\r\n\r\n",
    }
    for number, (name, request) in enumerate(requests.items()):
        port = 39_100 + os.getpid() % 500 + 500 * number
        yield work(
            f"clients of the metrics that send {name}",
            after_masks(partial(_ask, port, request)),
            "--metrics-port",
            str(port),
        )


def _ask(port: int, request: bytes, running: Running) -> None:
    clients = []
    for _ in range(20):
        with contextlib.suppress(OSError):
            clients.append(socket.create_connection(("127.0.0.1", port), 2))
            clients[-1].sendall(request)
    time.sleep(0.3)
    for client in clients:
        client.close()


def _environments() -> Iterator[Case]:
    environments = {
        "TMPDIR": "/proc/nowhere",
        "HOME": "/proc/nowhere",
        "LC_ALL": "xx_YY.nothing",
        "PYTHONIOENCODING": "ascii",
        "COLUMNS": "1",
        "TERM": "nothing",
        "NOTIFY_SOCKET": "/proc/nowhere/notify",
        "STATE_DIRECTORY": "nowhere",
        "XDG_CACHE_HOME": "/dev/null",
        "WATCHDOG_USEC": "nan",
        "EDGESEG_SOURCE_CREDENTIALS": f"me:{SECRET}",
        "OPENCV_IO_MAX_IMAGE_PIXELS": "x",
        "PYTHONWARNINGS": "error",
        "PYTHONUTF8": "0",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "x",
    }
    for name, value in environments.items():
        yield Case(
            f"{name}={value.replace(SECRET, '...')}",
            ENDS_BY_ITSELF,
            FINE,
            prepare=write_model,
            environment={name: value},
            secret=SECRET,
        )
    yield Case(
        "a folder full of modules",
        ENDS_BY_ITSELF,
        FINE,
        program="edgeseg.runtime.__main__",
        prepare=_hostile,
        by_script=True,
    )


def _hostile(folder: Path) -> None:
    write_model(folder)
    for name in _HOSTILE:
        (folder / f"{name}.py").write_text("raise SystemExit('Traceback (most recent call last): foreign code ran')")
