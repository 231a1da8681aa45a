"""Who may look on: hosts, origins, the token and the cookie that follows it."""

from __future__ import annotations

import hashlib
import hmac
import re
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers

from edgeseg.core.private import Secret
from edgeseg.runtime.sinks.web_address import is_loopback

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
_MONTH_S = 30 * 86_400


class Refusal(NamedTuple):
    """Why a request is not answered as asked: a status, one line for a person, and headers."""

    status: HTTPStatus
    text: str
    headers: dict[str, str]


class Access:
    """Judges requests.

    A page of another site that a viewer has open can send requests here, under a name of its own even (DNS rebinding):
    so the host must be a loopback name where no token is asked for, and the origin of a WebSocket must be the host.

    Args:
        token: None for whoever comes from this machine.
        name: of this page among all on this machine: cookies know hosts, not ports.
        is_tls: whether the page is served encrypted.
    """

    def __init__(self, token: Secret | None, name: str, is_tls: bool) -> None:
        self._token = token
        self._is_tls = is_tls
        self._cookie = f"edgeseg-live-{hashlib.sha256(name.encode()).hexdigest()[:10]}"

    def refusal(self, path: str, headers: Headers) -> Refusal | None:
        """Return why a request for `path` is refused or sent elsewhere; None for one that is to be answered."""
        host = host_of(headers)
        if host is None:
            return Refusal(HTTPStatus.BAD_REQUEST, "Expected one Host.", {})
        if self._token is None:
            name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
            if not is_loopback(name.strip("[]")):
                text = "This page is for this computer alone; come by localhost, through ssh -L if need be."
                return Refusal(HTTPStatus.FORBIDDEN, text, {})
        elif refusal := self._without_token(path, headers, self._token):
            return refusal
        if "Upgrade" in headers and not _same_origin(headers, host):
            return Refusal(HTTPStatus.FORBIDDEN, "Another site's page may not look on.", {})
        return None

    def _without_token(self, path: str, headers: Headers, token: Secret) -> Refusal | None:
        split = urlsplit(path)
        offered = parse_qs(split.query).get("token", [])
        if offered and split.path == "/":
            if hmac.compare_digest(_digest(offered[0]), _digest(token.reveal())):
                return Refusal(HTTPStatus.SEE_OTHER, "", {"Location": "/", "Set-Cookie": self._set_cookie(token)})
            return Refusal(HTTPStatus.UNAUTHORIZED, "That is not the token.", {})
        value = self._value(token)
        if any(hmac.compare_digest(_digest(each), _digest(value)) for each in self._cookies(headers)):
            return None
        return Refusal(HTTPStatus.UNAUTHORIZED, "Come by /?token=..., with the token of --live-token.", {})

    def _value(self, token: Secret) -> str:
        """The cookie outlives a restart, and dies with the token; the token cannot be had from it."""
        return hmac.new(token.reveal().encode(), self._cookie.encode(), hashlib.sha256).hexdigest()

    def _set_cookie(self, token: Secret) -> str:
        secure = "; Secure" if self._is_tls else ""
        return f"{self._cookie}={self._value(token)}; Path=/; Max-Age={_MONTH_S}; HttpOnly; SameSite=Strict{secure}"

    def _cookies(self, headers: Headers) -> list[str]:
        pairs = (each.strip().partition("=") for line in headers.get_all("Cookie") for each in line.split(";"))
        return [value for name, _, value in pairs if name == self._cookie]


def host_of(headers: Headers) -> str | None:
    """Return the Host of a request, None unless it is given once and well-formed."""
    hosts = headers.get_all("Host")
    return hosts[0].lower() if len(hosts) == 1 and _HOST.fullmatch(hosts[0]) else None


def _same_origin(headers: Headers, host: str) -> bool:
    origins = headers.get_all("Origin")
    return len(origins) == 1 and origins[0].lower() in (f"http://{host}", f"https://{host}")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
