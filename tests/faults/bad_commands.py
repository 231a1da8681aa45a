"""Commands that nobody should type, and a code for each: what is wrong is said on one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.faults.process import Case
from tests.faults.working_camera import with_file, with_pipe, write_model
from tests.helpers.large_pictures import png_of

USAGE, SOURCE, MODEL = frozenset({2}), frozenset({3}), frozenset({4})
SECRET = "Vb3kT8qL"
_WITH_MODEL = ("--model", "m.onnx", "--quiet", "--backend", "onnxruntime-cpu")
_NUMBERS = (
    "nan",
    "-nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "abc",
    "",
    "9" * 400,
    "0x10",
    "1,5",
    "\N{ARABIC-INDIC DIGIT THREE}",
)
_POSITIVE = ("--seconds", "--deadline-ms", "--stall-seconds")
_COUNTS = ("--frames", "--threads", "--max-pixels", "--metrics-port", "--in-flight", "--source-decoder-threads")
_ADDRESSES = (
    "rtsp:/me:{s}@10.0.0.5/1",
    "rtsp:me:{s}@10.0.0.5",
    "rtsp://me:{s} x@10.0.0.5:x/1",
    "rtsp://me:{s}\t@:0/1",
    "rtsp://me:?{s}@h:99999/",
    "rtsp://me:/{s}@h/1",
    "http://me:{s}@/",
    "http://[::1/?sig={s}",
    "ftp://me:{s}@h/x",
    "srt://h:1?passphrase={s}",
    "http://h:x/?token={s}",
    "rtsp://me:{s}@h:-1/",
    "https://me:{s}@[zz]/",
    "rtmp://h/{s}",
    "rtsp://me:#{s}@h:x",
    "hhtp://me:{s}@h/1",
    "v4l2://me:{s}@h",
    "csi://me:{s}@h",
    "rtps://me:a%20{s}@h/",
)
_PLACES = (
    "masks",
    "http://h/x",
    "unix://",
    "unix://{folder}",
    "unix:///proc/nowhere/x",
    "display://x",
    "file:///proc/x.mkv",
    "record://",
    "/dev/null/x.mkv",
    "/proc/masks/",
    "unix://" + "x" * 200,
    "rtsp://h/1",
)
_SIZES = ("0x0", "1", "x", "-1x-1", "99999999x1", "1280*720", "nan", "1e3x1e3")


def bad_commands() -> Iterator[Case]:
    yield from _numbers()
    yield from _sources()
    yield from _models()
    yield from _settings()
    yield from _others()


def _case(name: str, *arguments: str, codes: frozenset[int] = USAGE, **details: object) -> Case:
    return Case(name, arguments, codes, lines=1, **details)  # type: ignore[arg-type]


def _numbers() -> Iterator[Case]:
    for option in _POSITIVE:
        for text in _NUMBERS[:10]:
            if (option, text) == ("--deadline-ms", "inf"):  # its word for none
                continue
            yield _case(f"{option} {text[:12]}", "scenes://", option, text)
    for option in ("--frozen-ms", "--give-up-seconds", "--opacity", "--min-fps", "--source-rate"):
        for text in ("nan", "-1", "-inf", "x", "-" + "9" * 400):
            yield _case(f"{option} {text[:12]}", "scenes://", option, text)
    for option in _COUNTS:
        for text in ("nan", "-1", "0.5", "", "9" * 400):
            yield _case(f"{option} {text[:12]}", "scenes://", option, text)
    for text in _SIZES:
        yield _case(f"--source-size {text}", "csi://0", "--source-size", text)
        yield _case(f"size={text}", f"scenes://?size={text}")
    for text in ("", "5", "1TB", "1e9GB", "nanmin", "-5GB", "0GB"):
        yield _case(f"--quota {text}", "scenes://", "--output", "x.mkv", "--quota", text)


def _sources() -> Iterator[Case]:
    for address in _ADDRESSES:
        yield _case(address, address.format(s=SECRET), "--model", "x", codes=USAGE | SOURCE | MODEL, secret=SECRET)
    for source in ("0", "", "scenes://x", "scenes://?seed=-1", "scenes://?fsp=1", "csi://x", "gst://", "v4l2://video0"):
        yield _case(f"source {source}", source)
    for source in (
        "nothing.mp4",
        "no/*.png",
        "v4l2:///dev/nothing",
        "/dev/null",
        "/dev/zero",
        "{folder}",
        "/proc/self/mem",
    ):
        yield _case(f"source {source}", source, *_WITH_MODEL, codes=SOURCE, prepare=write_model)
    contents = {
        "empty": b"",
        "text": b"hello",
        "zeros": bytes(5000),
        "large": b"",
        "half": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    }
    for name in contents:
        for suffix in (".png", ".jpg", ".mp4", ".tif"):
            prepare = _Source(f"x{suffix}", contents[name])
            yield _case(f"{name}{suffix}", f"x{suffix}", *_WITH_MODEL, codes=SOURCE, prepare=prepare)


class _Source:
    def __init__(self, name: str, content: bytes) -> None:
        self._name, self._content = name, content

    def __call__(self, folder: Path) -> None:
        from edgeseg.core.geometry import Size

        write_model(folder)
        (folder / self._name).write_bytes(self._content or png_of(Size(9000, 9000)) * (self._name != "x.png"))


def _models() -> Iterator[Case]:
    for name, content in (("empty", b""), ("text", b"hello"), ("zeros", bytes(999)), ("png", b"\x89PNG\r\n\x1a\n")):
        yield _case(
            f"a model that is {name}",
            "scenes://",
            "--model",
            "m.onnx",
            "--quiet",
            codes=MODEL,
            prepare=with_file("m.onnx", content),
        )
    for model in ("nothing.onnx", "{folder}", "/dev/null", "/dev/zero", "x.engine", "x" * 300):
        yield _case(f"--model {model[:20]}", "scenes://", "--model", model, "--quiet", codes=MODEL)
    specs = {
        "nothing": b"",
        "a list": b"[]",
        "deep": b"[" * 100_000,
        "nan": b'{"mean": NaN}',
        "latin-1": b"\xe9",
        "null": b"null",
        "a lone surrogate": b'{"name": "\\ud800"}',
        "infinite": b'{"ignore_index": Infinity}',
    }
    for name, content in specs.items():
        yield _case(
            f"a spec that is {name}",
            "scenes://",
            "--model",
            "m.onnx",
            "--spec",
            "s.json",
            "--quiet",
            codes=MODEL,
            prepare=with_file("s.json", content),
        )
    for spec in ("/dev/zero", "fifo", "{folder}", "/dev/null", "nothing.json"):
        yield _case(
            f"--spec {spec}",
            "scenes://",
            "--model",
            "m.onnx",
            "--spec",
            spec,
            "--quiet",
            codes=MODEL,
            prepare=with_pipe,
        )


def _settings() -> Iterator[Case]:
    texts = {
        "dots": "a." * 50_000 + "b = 1",
        "nan": "deadline-ms = nan",
        "digits": f"frames = {'9' * 400}",
        "half": "frames = ",
        "unknown": "frmaes = 1",
        "a table": "[frames]\na = 1",
        "deep": "output = " + "[" * 5000,
        "inf": "stall-seconds = inf",
        "a secret": f'source = "rtsp://me:{SECRET}@h/1"',
        "another": f'source = "rtsp:/me:{SECRET}@h/1"',
        "nul": "\0",
        "a date": "seconds = 1979-05-27",
        "twice": "frames = 1\nframes = 2",
        "both": "every-frame = true\nevery_frame = true",
        "a secret option": f'source = "http://h/?token={SECRET}"',
        "control": '"\\u001b[31m" = 1',
    }
    for name, text in texts.items():
        yield _case(
            f"settings with {name}",
            "--config",
            "c.toml",
            "--check-config",
            secret=SECRET,
            prepare=with_file("c.toml", text.encode()),
        )
    for path in ("/dev/zero", "fifo", "{folder}", "nothing.toml", "/proc/self/mem"):
        yield _case(f"--config {path}", "--config", path, prepare=with_pipe)


def _others() -> Iterator[Case]:
    for place in _PLACES:
        yield _case(f"--output {place[:30]}", "scenes://", "--output", place, "--quiet")
    for option in ("--stats", "--summary"):
        for place in ("{folder}", "/dev/null/x", "/proc/x", "fifo", "x" * 300):
            yield _case(
                f"{option} {place[:30]}",
                "scenes://?frames=2",
                option,
                place,
                "--quiet",
                prepare=with_pipe,
            )
    for option in ("--opactiy", "--backend=gpu", "--source-flip=up", "--report=sky", "--source-transport=quic"):
        yield _case(option, "scenes://", option, "1") if "=" not in option else _case(option, "scenes://", option)
    yield _case("two outputs of one name", "scenes://", "--output", "a.mkv", "--output", "./a.mkv")
    yield _case("every frame of a camera", "csi://0", "--every-frame", "--model", "x")
    yield _case("--loop of a camera", "csi://0", "--loop")
    for path in ("", "nothing", "{folder}", "/dev/null", "/dev/zero"):
        yield _case(
            f"replay {path}",
            "replay",
            path,
            "--model",
            "m.onnx",
            codes=USAGE | SOURCE,
            program="edgeseg",
            prepare=write_model,
        )
    for text in ("nan", "-1", "2", "x"):
        yield _case(
            f"replay --equal-pixels {text}", "replay", "x", "--model", "m", "--equal-pixels", text, program="edgeseg"
        )
