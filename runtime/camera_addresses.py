"""Addresses of cameras: csi://, v4l2://, rtsp://, http:// and gst://."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from edgeseg.errors import SourceError, UsageError
from edgeseg.runtime.source import Source, SourceOptions, hide_secrets, with_credentials

CREDENTIALS_VARIABLE = "EDGESEG_SOURCE_CREDENTIALS"
_PASSWORD_RULE = "write @, /, : and ? in a password as %40, %2F, %3A and %3F, or give --source-credentials FILE"


def _csi(uri: str, rest: str, options: SourceOptions) -> Source:
    if not re.fullmatch(r"\d{1,2}", rest):
        raise UsageError(f"source {uri}; expected csi:// and the number of the sensor, for example csi://0")
    return Source("csi", uri, rest, options=options)


def _v4l2(uri: str, rest: str, options: SourceOptions) -> Source:
    if not rest.startswith("/"):
        device = f"/dev/video{rest}" if rest.isdecimal() else "/dev/video0"
        raise UsageError(f"source {uri}; expected v4l2:// and the path of the device, for example v4l2://{device}")
    return Source("v4l2", uri, rest, options=options)


def _network(uri: str, rest: str, options: SourceOptions) -> Source:
    try:
        parts = urlsplit(uri)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    scheme = uri.partition("://")[0]
    if not is_whole or "@" in parts.path:
        raise UsageError(f"source {scheme}://... has no host, or no port that is a number; {_PASSWORD_RULE}")
    credentials = read_credentials(options)
    address = with_credentials(uri, credentials) if credentials and not parts.username else uri
    return Source(scheme[:4], hide_secrets(uri), address, options=options)


def _pipeline(uri: str, rest: str, options: SourceOptions) -> Source:
    if not rest.strip():
        raise UsageError(f"source {uri}; expected gst:// and a pipeline, for example gst://videotestsrc is-live=true")
    return Source("gst", hide_secrets(uri), rest.strip(), options=options)


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
    where = options.credentials or f"${CREDENTIALS_VARIABLE}"
    text = os.environ.get(CREDENTIALS_VARIABLE, "")
    if options.credentials:
        try:
            text = Path(os.path.expanduser(options.credentials)).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise SourceError(f"credentials {where}: cannot be read ({reason}); expected USER:PASSWORD") from error
    if (text or options.credentials) and not re.fullmatch(r"[^:\s]+:.*", text):
        raise SourceError(f"credentials {where} are not of the form USER:PASSWORD on one line")
    return text
