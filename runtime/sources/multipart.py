"""The parts of an endless HTTP answer, multipart/x-mixed-replace, as cameras send them: not only by RFC 2046."""

from __future__ import annotations

import re
from collections.abc import Callable

from edgeseg.core.pictures import jpeg
from edgeseg.core.pictures.error import DamagedPictureError

Headers = dict[bytes, bytes]

_MOST_BYTES = 32 * 2**20  # of one picture
_MOST_HEADER_BYTES = 8192
_AT_ONCE = 65536
_FIRST_LINE = re.compile(rb"(?:^|\n)(--[^\r\n]{1,200}?)[ \t]*\r?\n")
_HEADERS_END = re.compile(rb"\r?\n\r?\n")


class Multipart:
    """Takes parts off a stream, each as soon as it is whole.

    A boundary that the answer does not state, or states wrongly, is the first line that begins with `--`. A part of
    unstated length is a JPEG: it ends with its end mark, so that nobody waits for the next picture; a damaged one ends
    at the next boundary. What stands between a picture and a boundary is padding.

    Args:
        read: returns at least one byte and at most so many, or nothing at the end.
        boundary: as the answer states it; None or an empty text if it does not.
    """

    def __init__(self, read: Callable[[int], bytes], boundary: str | None) -> None:
        self._read = read
        self._stated = b"--" + boundary.strip('"').removeprefix("--").encode() if boundary else None
        self._delimiter: re.Pattern[bytes] | None = None
        self._buffer = bytearray()

    def next_part(self) -> tuple[Headers, bytes] | None:
        """Return headers, their names in lower case, and body of the next part; None at the end of the stream.

        Raises:
            ValueError: there is no boundary, or a part is larger than any picture.
        """
        if not self._skip_delimiter():
            return None
        headers = self._headers()
        if headers is None:
            return None
        length = headers.get(b"content-length", b"")
        body = self._take(int(length)) if length.isdigit() else self._picture()
        return None if body is None else (headers, body)

    def _more(self) -> bool:
        data = self._read(_AT_ONCE)
        self._buffer += data
        return bool(data)

    def _skip_delimiter(self) -> bool:
        """Drop all up to the next boundary and its `--`; False at the end of the stream."""
        if self._delimiter is None and not self._learn_delimiter():
            return False
        assert self._delimiter is not None
        while not (found := self._delimiter.search(self._buffer)):
            del self._buffer[: max(0, len(self._buffer) - _MOST_HEADER_BYTES)]  # a boundary may be half there
            if not self._more():
                return False
        is_last = found[0].endswith(b"--")
        del self._buffer[: found.end() - 2 * is_last]
        return not is_last

    def _learn_delimiter(self) -> bool:
        while not (found := _FIRST_LINE.search(self._buffer)):
            if len(self._buffer) > _MOST_HEADER_BYTES:
                if self._stated is None:
                    raise ValueError(f"no boundary in its first {len(self._buffer)} bytes")
                break
            if not self._more():
                return False
        first = found[1] if found else b""
        own = self._stated if self._stated and (not first or first.startswith(self._stated)) else first
        self._delimiter = re.compile(re.escape(own) + rb"[ \t]*(?:\r?\n|--)")
        return True

    def _headers(self) -> Headers | None:
        while not (found := _HEADERS_END.search(self._buffer)):
            if len(self._buffer) > _MOST_HEADER_BYTES:
                raise ValueError(f"no end of a part's headers within {len(self._buffer)} bytes")
            if not self._more():
                return None
        lines = bytes(self._buffer[: found.start()]).splitlines()
        del self._buffer[: found.end()]
        pairs = (line.partition(b":") for line in lines)
        return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}

    def _take(self, length: int) -> bytes | None:
        if length > _MOST_BYTES:
            raise ValueError(f"a picture of {length} bytes")
        while len(self._buffer) < length:
            if not self._more():
                return None
        return self._cut(length)

    def _cut(self, length: int) -> bytes:
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        return body

    def _picture(self) -> bytes | None:
        assert self._delimiter is not None
        searched = 0
        while True:
            at = searched
            while (at := self._buffer.find(jpeg.END_MARK, at)) >= 0:
                at += len(jpeg.END_MARK)
                if _is_end(bytes(self._buffer[:at])):
                    return self._cut(at)
            if found := self._delimiter.search(self._buffer, max(0, searched - _MOST_HEADER_BYTES)):
                return self._cut(found.start())
            searched = max(0, len(self._buffer) - 1)
            if searched > _MOST_BYTES:
                raise ValueError(f"a picture of more than {_MOST_BYTES} bytes")
            if not self._more():
                return None


def _is_end(content: bytes) -> bool:
    """Whether a JPEG ends here, and not a preview within it."""
    try:
        jpeg.check(content)
    except (DamagedPictureError, IndexError):
        return False
    return True
