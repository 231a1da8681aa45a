"""`http://HOST:PORT` of an output: what it names, and whom it may be shown to. Without the server itself."""

from __future__ import annotations

import importlib.util
import ipaddress
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgeseg.core.errors import UsageError
from edgeseg.core.files import lower_scheme
from edgeseg.core.private import Secret, shown_place
from edgeseg.runtime.settings import SinkSettings

_ADDRESS = re.compile(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(\d{1,5})/?")
_LEAST_TOKEN = 16  # characters: 64 bits, if they are hexadecimal digits
_TOKEN = re.compile(r"[A-Za-z0-9_.~-]+")  # what stands in an address as it is
_EXPECTED = "http://127.0.0.1:8080, or https:// with --live-tls"


class WebAddress(NamedTuple):
    """Where a page is served: `host` without brackets; `port` 0 for any that is free."""

    host: str
    port: int
    is_tls: bool

    @property
    def is_loopback(self) -> bool:
        return is_loopback(self.host)

    def url(self, port: int) -> str:
        """Return what to type into a browser on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_tls else 'http'}://{host}:{port}/"


def is_web(uri: str) -> bool:
    """Whether an output's URI is an address of this kind."""
    return lower_scheme(uri).startswith(("http://", "https://"))


def parse_web_address(uri: str) -> WebAddress:
    """Read the address of an output. Raises UsageError."""
    match = _ADDRESS.fullmatch(lower_scheme(uri))
    if not match or int(match[3]) > 65535:
        raise UsageError(f"output {shown_place(uri)}; expected an address and a port, as in {_EXPECTED}")
    return WebAddress(match[2].strip("[]"), int(match[3]), match[1] == "https")


def is_loopback(host: str) -> bool:
    """Whether a name or address, without brackets, is this machine alone."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_web(uris: Sequence[str], settings: SinkSettings) -> None:
    """Hold the pages among the outputs against the settings: before a model is loaded or a camera opened.

    Raises:
        UsageError: a page that others could see without a token, https:// without a certificate, a file that cannot be
            used, or `websockets` is not installed.
    """
    pages = [uri for uri in uris if is_web(uri)]
    if not pages and (settings.live_token or settings.live_tls):
        raise UsageError("--live-token and --live-tls are of a live page; add --output http://127.0.0.1:8080")
    for uri in pages:
        address = parse_web_address(uri)
        if not address.is_loopback and settings.live_token is None:
            raise UsageError(
                f"output {uri}: others could look on; give --live-token FILE, or http://127.0.0.1:{address.port}, "
                f"which ssh -L {address.port}:127.0.0.1:{address.port} reaches from elsewhere"
            )
        if address.is_tls != (settings.live_tls is not None):
            remedy = "give --live-tls FILE" if address.is_tls else "write https://, or leave --live-tls out"
            raise UsageError(f"output {uri} {'without' if address.is_tls else 'with'} --live-tls; {remedy}")
        if importlib.util.find_spec("websockets") is None:
            raise UsageError(f"output {uri}: websockets is not installed; pip install 'edgeseg[live]'")
    if settings.live_token:
        read_token(settings.live_token)


def read_token(path: Path) -> Secret:
    """Return the token that a file holds in its one line. Raises UsageError; what is in the file is never said."""
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"--live-token {path}: cannot be read ({reason}); {_make_token(path)}") from error
    if mode & stat.S_IROTH:
        raise UsageError(f"--live-token {path}: every user of this machine can read it; chmod o-rwx {path}")
    if len(text) < _LEAST_TOKEN or not _TOKEN.fullmatch(text):
        raise UsageError(
            f"--live-token {path}: expected one line of {_LEAST_TOKEN} or more letters and digits; {_make_token(path)}"
        )
    return Secret(text)


def _make_token(path: Path) -> str:
    return f"make one by (umask 077; openssl rand -hex 16 > {path})"
