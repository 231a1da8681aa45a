"""Source URIs, as jetson-utils writes them: what the user named, checked before anything is opened."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from edgeseg.core.errors import SourceError, UsageError, nearest
from edgeseg.core.files import lower_scheme, path_of_file_url
from edgeseg.core.geometry import Size
from edgeseg.core.numbers import shortened
from edgeseg.core.private import shown_place
from edgeseg.core.settings import check_settings
from edgeseg.core.small_files import read_small
from edgeseg.runtime.machine.child import CREDENTIALS_VARIABLE
from edgeseg.runtime.sources.address import parse_address, parse_pipeline
from edgeseg.runtime.sources.source import RATES, Source, SourceOptions

DEFAULT_FOLDER_FPS = 10.0
DEFAULT_SCENES_FPS = 30.0
DEFAULT_SCENES_SIZE = Size(720, 1280)
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
_OPTIONS_OF = {
    "csi": ("size", "rate", "flip", "exposure_us"),
    "v4l2": ("size", "rate", "format", "flip"),
    "rtsp": ("transport", "latency_ms", "decoder_threads", "credentials", "flip"),
    "http": ("credentials", "flip"),
    "gst": ("flip",),
}

_EXPECTED = "a video file, a folder or glob of images, scenes://, csi://, v4l2://, rtsp://, http:// or gst://"


def parse_source(
    uri: str,
    fps: float | None = None,
    loop: bool = False,
    size: Size | None = None,
    options: SourceOptions | None = None,
) -> Source:
    """Read a source URI.

    Args:
        uri: `csi://0`, `v4l2:///dev/video0`, `rtsp://HOST/PATH`, `http://HOST/PATH` (MJPEG), `gst://PIPELINE`,
            `file://x.mp4` or a plain path, a folder or glob of images, or
            `scenes://[?seed=N&size=WxH&fps=F&frames=N]`.
        fps: of a camera, the rate to ask it for; else the rate to play it at instead of its own.
        loop: begin again at the end.
        size: frame size to ask a camera for (csi://, v4l2://).
        options: how to open a camera.

    Raises:
        UsageError: the text names no kind of source, or an option does not belong to it.
        SourceError: there is nothing at that place.
    """
    options = options or SourceOptions()
    if fps is not None and fps not in RATES:
        raise UsageError(f"source rate {shortened(fps)}; expected {RATES}, of frames a second")
    check_settings(options, "source ")
    number = re.fullmatch(r"\d+", uri)
    if number:
        raise UsageError(
            f"source {uri!r} is a bare number, which means a CSI camera to some tools and a USB one to others; "
            f"write csi://{uri} or v4l2:///dev/video{uri}"
        )
    uri = lower_scheme(uri)
    scheme, separator, rest = uri.partition("://")
    if separator and scheme in SCHEMES:
        source = replace(SCHEMES[scheme](uri, rest, options), fps=fps, size=size, loop=loop)
        _check_camera(source)
        return source
    if size or options != SourceOptions():
        raise UsageError(
            f"source {shown_place(uri)}: its size and how it is opened are options of cameras, not of this source"
        )
    if separator and scheme == "scenes":
        return replace(_scenes(uri, fps), loop=loop)
    if separator and scheme != "file":
        known = ["file", "scenes", *SCHEMES]
        raise UsageError(
            f"source {shown_place(f'{scheme}://@')}: its kind is not supported{nearest(scheme, known)}; "
            f"expected {_EXPECTED}"  # a streaming key may stand anywhere in it
        )
    return replace(_files(uri, path_of_file_url(rest) if separator else uri, fps), loop=loop)


def _check_camera(source: Source) -> None:
    """Raise UsageError for options that a kind of camera does not have."""
    if source.loop:
        raise UsageError(f"source {source.uri}: a camera has no end to begin again from; leave --loop out")
    given = [] if source.size is None else ["size"]
    given += [] if source.fps is None else ["rate"]
    default = SourceOptions()
    given += [name for name, value in vars(source.options).items() if value != getattr(default, name)]
    for name in given:
        if name not in _OPTIONS_OF[source.kind]:
            raise UsageError(
                f"source {source.uri}: --source-{name.replace('_', '-')} is not for {source.kind}://; "
                f"expected of {', '.join(_OPTIONS_OF[source.kind])}"
            )


def _files(uri: str, location: str, fps: float | None) -> Source:
    if not location:
        raise UsageError(f"source {uri!r} is empty; expected {_EXPECTED}")
    # Absolute, since FFmpeg takes what stands before a colon in a relative name for a protocol.
    path = Path(os.path.expanduser(location)).absolute()
    source = Source("images", uri, str(path), fps=fps)
    try:
        str(path).encode()  # what is not UTF-8 cannot be handed to the capture process
        is_file, found = path.is_file(), image_paths(source)
    except (OSError, ValueError) as error:  # of a zero in it, too
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8" if "\0" not in uri else "a zero in it"
        raise SourceError(f"source {shown_place(uri)}: cannot be read ({reason}); expected {_EXPECTED}") from error
    if is_file:
        return source if path.suffix.lower() in IMAGE_SUFFIXES else replace(source, kind="video")
    if not found:
        if path.is_dir() or glob.has_magic(location):
            raise SourceError(
                f"source {shown_place(uri)}: no images found; expected files ending in {', '.join(IMAGE_SUFFIXES)}"
            )
        raise SourceError(f"source {shown_place(uri)}: no such file or folder; expected {_EXPECTED}")
    return source


def image_paths(source: Source) -> list[Path]:
    """Return the picture files of an `images` source, numbers in their names in numerical order."""
    path = Path(source.location)
    if path.is_file():
        found = [path]
    elif path.is_dir():
        found = list(path.iterdir())
    else:
        found = [Path(name) for name in glob.glob(source.location)]
    pictures = [p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()]
    return sorted(pictures, key=lambda p: [int(s) if s.isdecimal() else s for s in re.split(r"([0-9]+)", p.name)])


def _scenes(uri: str, fps: float | None) -> Source:
    parts = urlsplit(uri)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    known = ("seed", "size", "fps", "frames")
    for key in options:
        if key not in known:
            raise UsageError(
                f"source {shown_place(uri)}: unknown option{nearest(key, known)}; expected {', '.join(known)}"
            )
    if parts.netloc or parts.path:
        raise UsageError(
            f"source {shown_place(uri)}; expected scenes:// or scenes://?seed=1&size=1280x720&fps=30&frames=300"
        )
    rate = float(_number(uri, "fps", options.get("fps", DEFAULT_SCENES_FPS)))
    frames = options.get("frames")
    return Source(
        "scenes",
        uri,
        size=Size.parse(options["size"]) if "size" in options else DEFAULT_SCENES_SIZE,
        fps=fps or rate,
        seed=int(_number(uri, "seed", options.get("seed", 0), whole=True)),
        frames=None if frames is None else int(_number(uri, "frames", frames, whole=True)),
    )


def _number(uri: str, key: str, text: str | float, whole: bool = False) -> float:
    pattern = r"\d{1,9}" if whole else r"\d{1,4}(\.\d*)?"
    if not re.fullmatch(pattern, str(text)) or (key != "seed" and float(text) == 0):
        raise UsageError(
            f"source {shown_place(uri)}: {key} is none; expected a positive {'whole ' if whole else ''}number"
        )
    return float(text)


def _csi(uri: str, rest: str, options: SourceOptions) -> Source:
    if not re.fullmatch(r"\d{1,2}", rest):
        raise UsageError(
            f"source {shown_place(uri)}; expected csi:// and the number of the sensor, for example csi://0"
        )
    return Source("csi", uri, rest, options=options)


def _v4l2(uri: str, rest: str, options: SourceOptions) -> Source:
    if not rest.startswith("/"):
        device = f"/dev/video{rest}" if rest.isdecimal() else "/dev/video0"
        raise UsageError(
            f"source {shown_place(uri)}; expected v4l2:// and the path of the device, for example v4l2://{device}"
        )
    return Source("v4l2", uri, rest, options=options)


def _network(uri: str, rest: str, options: SourceOptions) -> Source:
    address = parse_address(uri)
    credentials = read_credentials(options)
    if credentials and not address.login:
        user, _, password = credentials.partition(":")
        address = address.with_login(user, password)
    return Source(address.scheme[:4], address.shown, address=address, options=options)


def _pipeline(uri: str, rest: str, options: SourceOptions) -> Source:
    pipeline = parse_pipeline(rest.strip())
    return Source("gst", pipeline.shown, address=pipeline, options=options)


SCHEMES: dict[str, Callable[[str, str, SourceOptions], Source]] = {
    "csi": _csi,
    "v4l2": _v4l2,
    "rtsp": _network,
    "rtsps": _network,
    "http": _network,
    "https": _network,
    "gst": _pipeline,
}


def read_credentials(options: SourceOptions) -> str:
    """Return `user:password` from the file that the options name, else from the environment, else an empty text.

    Raises:
        SourceError: the file cannot be read, or either holds something else.
    """
    where = "that --source-credentials names" if options.credentials else f"${CREDENTIALS_VARIABLE}"
    text = os.environ.get(CREDENTIALS_VARIABLE, "")
    if options.credentials:
        try:
            text = read_small(Path(os.path.expanduser(options.credentials))).strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise SourceError(f"credentials {where}: cannot be read ({reason}); expected USER:PASSWORD") from error
    if (text or options.credentials) and not re.fullmatch(r"[^:\s]+:.*", text):
        raise SourceError(f"credentials {where} are not of the form USER:PASSWORD on one line")
    return text
