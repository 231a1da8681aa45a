"""What a text file that is not UTF-8 seems to be: for messages, since no file says so itself."""

from __future__ import annotations

import re

UTF_16 = (b"\xff\xfe", b"\xfe\xff")
SEVERAL_BYTES = (("gb18030", "GBK"), ("shift_jis", "Shift-JIS"), ("euc_kr", "EUC-KR"))
ONE_BYTE = (("cp1252", "Windows-1252"), ("cp1251", "Windows-1251"))
_HIGH = re.compile(rb"[\x80-\xff]+")
MOST_BYTES = 1 << 20  # that are looked at


def not_utf8(content: bytes) -> str:
    """Return what to say of bytes that are not UTF-8: the place, and how the text reads in the likeliest encoding."""
    if content.startswith(UTF_16):
        return "is UTF-16, not UTF-8; expected a text file in UTF-8: save it as that"
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reading = _reading(content[:MOST_BYTES], error.start)
        return f"byte {error.start} is not UTF-8{reading}; expected a text file in UTF-8: save it as that"
    return "is no text; expected a text file in UTF-8"


def _reading(content: bytes, at: int) -> str:
    # Letters of two bytes come in even runs; those of one byte mostly stand alone among ASCII.
    even = all(len(run) % 2 == 0 for run in _HIGH.findall(content))
    run = _HIGH.match(content, at) or _HIGH.search(content)
    if not run:
        return ""
    for codec, name in (*SEVERAL_BYTES, *ONE_BYTE) if even else ONE_BYTE:
        try:
            letters, word = run.group().decode(codec), _word(content, run).decode(codec)
        except UnicodeDecodeError:
            continue
        if all(letter.isalpha() for letter in letters):
            return f" (as {name} it reads {word.strip()!r})"
    return ""


def _word(content: bytes, run: re.Match[bytes]) -> bytes:
    """Return a run of high bytes with the letters around it."""
    before = re.search(rb"[A-Za-z]{0,20}$", content[max(0, run.start() - 20) : run.start()])
    after = re.match(rb"[A-Za-z]{0,20}", content[run.end() : run.end() + 20])
    return (before.group() if before else b"") + run.group() + (after.group() if after else b"")
