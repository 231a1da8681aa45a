"""Recordings by a settings file: a service starts again and again, and no start is to cost the drive before it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgeseg.runtime.frame_recording import is_taken
from edgeseg.runtime.sinks import parse_sink


def beside_earlier(uris: Sequence[str], has_quota: bool) -> tuple[str, ...]:
    """Return output URIs with a dated place (UTC, ISO 8601) for each recording whose place holds one already.

    Args:
        uris: of the outputs.
        has_quota: videos are cut into segments, whose numbers go on by themselves.

    Raises:
        UsageError: one names no kind of sink, or a folder that cannot be looked into.
    """
    return tuple(_beside_earlier(uri, has_quota) for uri in uris)


def _beside_earlier(uri: str, has_quota: bool) -> str:
    kind, path = parse_sink(uri)
    if kind == "record" and is_taken(path):
        return f"record://{_free(lambda date: path / date)}"
    if kind == "video" and not has_quota and _holds_video(path):
        return f"file://{_free(lambda date: path.with_name(f'{path.stem}-{date}{path.suffix}'))}"
    return uri


def _holds_video(path: Path) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > 0


def _free(place: Callable[[str], Path]) -> Path:
    """Return the first place that is free: a clock without a battery begins at the same time again."""
    date = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    dates = itertools.chain([date], (f"{date}-{number}" for number in itertools.count(2)))
    return next(each for each in map(place, dates) if not os.path.lexists(each))
