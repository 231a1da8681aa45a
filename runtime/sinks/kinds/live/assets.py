"""The page's own files, as answers to requests."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Response

from edgeseg.runtime.sinks.kinds.live.access import Refusal

_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_INDEX = "index.html"


class Assets:
    """Holds the files of page/ in memory: a viewer reads nothing else of this machine."""

    def __init__(self) -> None:
        folder = files("edgeseg.runtime.sinks.kinds.live") / "page"
        self._files = {each.name: each.read_bytes() for each in folder.iterdir() if _kind(each.name) in _KINDS}

    def answer(self, path: str, host: str) -> Response:
        """Return the file that a request names, or a line that there is none."""
        name = urlsplit(path).path.removeprefix("/") or _INDEX
        if name not in self._files:
            return answer(HTTPStatus.NOT_FOUND, b"There is nothing here.\n", host)
        return answer(HTTPStatus.OK, self._files[name], host, {"Content-Type": _KINDS[_kind(name)]})


def refuse(refusal: Refusal, host: str) -> Response:
    """Return the answer to a request that is not answered as asked."""
    return answer(refusal.status, f"{refusal.text}\n".encode(), host, refusal.headers)


def answer(status: HTTPStatus, body: bytes, host: str, more: dict[str, str] | None = None) -> Response:
    """Return an answer that tells the browser to take nothing from elsewhere and to remember nothing."""
    # Older browsers do not count a WebSocket of the page's own host to 'self'.
    channels = f"'self' ws://{host} wss://{host}" if host else "'none'"
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src {channels}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        **(more or {}),
    }
    return Response(status.value, status.phrase, Headers(headers), body)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
