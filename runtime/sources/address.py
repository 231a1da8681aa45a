"""Addresses of cameras and pipelines, parsed once into values that cannot print their secrets (RFC 3986).

What cannot be parsed is refused without being repeated: nobody knows what of it was meant as a password.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from edgeseg.core.errors import UsageError
from edgeseg.core.private import HIDDEN, Secret

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
PASSWORD_RULE = (
    "write what is no letter or digit in a user's name or a password as %40 for @, %2F for /, %3A for :, %3F for ?, "
    "%20 for a blank, or give --source-credentials FILE"
)
_ADDRESS = re.compile(
    r"(?P<scheme>rtsps?|https?)://"
    r"(?:(?P<login>[^@/?#\[\]\\]*)@)?"
    r"(?P<host>[\w.~-]+|\[[0-9A-Fa-f:.]+(?:%25[\w.~-]+)?\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[^@?#\\]*)?(?:\?(?P<query>[^@#\\]*))?"
)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHOWN_PARAMETERS = {
    *("action", "audio", "cam", "camera", "ch", "channel", "codec", "compression", "fps", "framerate", "height"),
    *("profile", "proto", "quality", "res", "resolution", "rotation", "size", "stream", "streamtype", "subtype"),
    *("type", "unicast", "video", "videocodec", "width"),
}
_SHOWN_VALUE = re.compile(r"[A-Za-z0-9_.-]{0,16}")
_SHOWN_PROPERTIES = {"camera", "device", "index", "is-live", "num-buffers", "pattern", "sensor-id", "sensor-mode"}
_SHOWN_PROPERTY = re.compile(r"([a-z][a-z-]*)=[\w./-]{1,64}")
_ELEMENT = re.compile(
    r"[a-z][a-z0-9_-]{0,60}(src|bin)"
)  # what begins a pipeline; anything else may be a mistyped login
_TOKENS = re.compile(r"""((?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])+|\s+)""", re.DOTALL)
_LOGIN = re.compile(r"://[^\s\"']*@")
_SOUNDS_SECRET = re.compile(r"(?i)pass|pw|secret|token|key|sig|auth|login|user|usr|cred|sess|sas|hash|code|pin")
_LEAST_HIDDEN = 4  # characters: of a text from a library, single letters of it would be replaced everywhere


class Address(ABC):
    """What is opened, with its secrets inside."""

    @property
    @abstractmethod
    def shown(self) -> str:
        """The address as everybody may see it."""

    @property
    @abstractmethod
    def tells_secret(self) -> bool:
        """Whether it holds a user's name, a password, or what is called so."""

    @abstractmethod
    def reveal(self) -> str:
        """Return all of it, for what opens it."""

    @abstractmethod
    def _hidden(self) -> Iterable[str]:
        """Return what may not be shown, in all forms in which a library might tell it."""

    def hide(self, text: str) -> str:
        """Return a text, of a library perhaps, without secrets of this address."""
        if self.reveal() not in self.shown:
            text = text.replace(self.reveal(), self.shown)
        for part in sorted(set(self._hidden()), key=len, reverse=True):
            if len(part) >= _LEAST_HIDDEN:
                text = text.replace(part, HIDDEN)
        return text

    def __repr__(self) -> str:
        return self.shown

    __str__ = __repr__


@dataclass(frozen=True, repr=False)
class NetworkAddress(Address):
    """An address such as `rtsp://me:hush@camera:554/1?channel=2`.

    Attributes:
        scheme: `rtsp`, `rtsps`, `http` or `https`.
        host: name or number of the camera; one of IPv6 in brackets.
        stated_port: None for the scheme's own.
        user, password: decoded; None if it holds none.
        path, query: as they were written; the query is None where there is no `?`.
    """

    scheme: str
    host: str
    stated_port: int | None
    user: Secret | None
    password: Secret | None
    path: Secret
    query: Secret | None

    @property
    def port(self) -> int:
        return self.stated_port or PORTS[self.scheme]

    @property
    def shown(self) -> str:
        login = f"{HIDDEN}@" if self.user else ""
        path = "/".join(HIDDEN if _is_pair(each) else each for each in self.path.reveal().split("/"))
        query = "" if self.query is None else f"?{_shown_query(self.query.reveal())}"
        return f"{self.scheme}://{login}{self._place}{path}{query}"

    @property
    def tells_secret(self) -> bool:
        return bool(self.user) or any(_SOUNDS_SECRET.search(name) for name, _ in self._parameters())

    def reveal(self) -> str:
        login = f"{self._login(quoted=True)}@" if self.user else ""
        return f"{self.scheme}://{login}{self._place}{self._target}"

    def without_login(self) -> str:
        """Return the address without user and password, for those who are told these apart from it."""
        return f"{self.scheme}://{self._place}{self._target}"

    def with_login(self, user: str, password: str) -> NetworkAddress:
        return replace(self, user=Secret(user), password=Secret(password))

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password, revealed; None if it holds none."""
        return (self.user.reveal(), self.password.reveal()) if self.user and self.password else None

    @property
    def _place(self) -> str:
        return self.host if self.stated_port is None else f"{self.host}:{self.stated_port}"

    @property
    def _target(self) -> str:
        return self.path.reveal() + ("" if self.query is None else f"?{self.query.reveal()}")

    def _login(self, quoted: bool) -> str:
        user, password = self.login or ("", "")
        return f"{quote(user, safe='')}:{quote(password, safe='')}" if quoted else f"{user}:{password}"

    def _parameters(self) -> Iterable[tuple[str, str]]:
        texts = [] if self.query is None else _parts(self.query.reveal())
        for segment in self.path.reveal().split("/"):
            texts += _parts(unquote(segment)) if _is_pair(segment) else []
        for text in texts:
            name, _, value = text.partition("=")
            yield name, value

    def _hidden(self) -> Iterable[str]:
        if self.login:
            for each in (self.login[1], self._login(quoted=False)):
                yield from (each, quote(each, safe=""), quote(each))
            yield self._login(quoted=True)
            yield base64.b64encode(self._login(quoted=False).encode()).decode()
        if self.query is not None and _shown_query(self.query.reveal()) != self.query.reveal():
            yield self.query.reveal()
        for name, value in self._parameters():
            if not _is_shown(name, value):
                yield from (value, unquote(value), f"{name}={value}")


@dataclass(frozen=True, repr=False)
class Pipeline(Address):
    """A user's own GStreamer pipeline; shown is its first element, with what of it tells cameras apart."""

    text: Secret

    @property
    def shown(self) -> str:
        first, *tokens = self._tokens()
        if not _ELEMENT.fullmatch(first):
            return "gst://..."
        shown = [first]
        for token in tokens:
            match = _SHOWN_PROPERTY.fullmatch(token)
            if not match or match[1] not in _SHOWN_PROPERTIES:
                return f"gst://{' '.join(shown)} ..."
            shown.append(token)
        return f"gst://{' '.join(shown)}"

    @property
    def tells_secret(self) -> bool:
        names = re.findall(r"([\w-]+)\s*=", self.text.reveal())
        return bool(_LOGIN.search(self.text.reveal())) or any(_SOUNDS_SECRET.search(name) for name in names)

    def reveal(self) -> str:
        return self.text.reveal()

    def _tokens(self) -> list[str]:
        return [each for each in _TOKENS.findall(self.text.reveal()) if not each.isspace()]

    def _hidden(self) -> Iterable[str]:
        for token in self._tokens():
            value = token.partition("=")[2]
            if value and token not in self.shown:
                yield from (value, value.strip("\"'"), value.strip("\"'").replace("\\", ""))


def parse_address(text: str) -> NetworkAddress:
    """Parse an address, its scheme in lower case. Raises UsageError, which does not repeat it."""
    scheme = text.partition("://")[0]
    match = _ADDRESS.fullmatch(text)
    if not match or not text.isprintable() or " " in text:
        raise UsageError(f"source {scheme}://...: not an address ({_fault(text)}); {PASSWORD_RULE}")
    login, port = match["login"], match["port"]
    if port and not 0 < int(port) < 65536:
        raise UsageError(f"source {scheme}://...: its port is none of 1 to 65535; {PASSWORD_RULE}")
    if login and _BAD_PERCENT.search(login):
        raise UsageError(f"source {scheme}://...: a % in a user's name or password is %25; {PASSWORD_RULE}")
    user, _, password = (unquote(each) for each in (login or "").partition(":"))
    return NetworkAddress(
        scheme,
        match["host"],
        int(port) if port else None,
        Secret(user) if login else None,
        Secret(password) if login else None,
        Secret(match["path"] or ""),
        None if match["query"] is None else Secret(match["query"]),
    )


def parse_pipeline(text: str) -> Pipeline:
    """Return a pipeline. Raises UsageError, which does not repeat it."""
    if not text:
        raise UsageError("source gst://; expected a pipeline behind it, for example gst://videotestsrc is-live=true")
    if "".join(_TOKENS.findall(text)) != text:
        raise UsageError("source gst://...: a quote or \\ at its end is not closed; close it")
    return Pipeline(Secret(text))


def _fault(text: str) -> str:
    rest = text.partition("://")[2]
    if any(letter.isspace() or not letter.isprintable() for letter in rest):
        return "it holds a blank or a control character"
    if "@" in rest[len(re.split(r"[/?#]", rest)[0]) :] or rest.count("@") > 1:
        return "an @ behind the host, or two of them"
    if "#" in rest or "\\" in rest:
        return "it holds # or \\"
    return "it has no host, or no port that is a number"


def _parts(query: str) -> list[str]:
    return re.split("[&;]", query)


def _is_pair(segment: str) -> bool:
    """Whether a part of a path holds parameters, as `/user=me_password=hush_channel=1.sdp` does."""
    return any(sign in unquote(segment) for sign in "=&;")


def _is_shown(name: str, value: str) -> bool:
    return name.lower() in _SHOWN_PARAMETERS and bool(_SHOWN_VALUE.fullmatch(value))


def _shown_query(query: str) -> str:
    """Return the parameters that are known to be no secrets; of the others not even the names, which may be a part."""
    pairs = [each.partition("=") for each in _parts(query)]
    return "&".join(f"{name}={value}" if _is_shown(name, value) else HIDDEN for name, _, value in pairs)
