"""Whether mask files hold ids or colours, where nobody says so: told by the files and the class list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

from edgeseg.core.errors import DataError, UsageError, nearest
from edgeseg.data.class_lists.lines import MOST_ID
from edgeseg.data.class_lists.palette import Palette
from edgeseg.data.reading.masks import grey_levels, mask_mode
from edgeseg.data.reading.pictures import MaskDecoder, PictureFile

ENCODINGS = ("ids", "colours")
VALUES_OPTION = {"values": "what other ids in the masks stand for: 255:road, or 0:sky,255:road (255 is ignored)"}
MOST_LOOKED_AT = 20  # masks that are read until one of them tells


def check_encoding(encoding: str) -> None:
    """Raise UsageError unless the option `encoding` is one of ENCODINGS or empty."""
    if encoding not in ("", *ENCODINGS):
        raise UsageError(f"option encoding={encoding}{nearest(encoding, ENCODINGS)}; expected {' or '.join(ENCODINGS)}")


def parse_values(text: str) -> dict[int, str]:
    """Return the names that the option `values` gives to ids. Raises UsageError."""
    pairs = [part.partition(":") for part in text.split(",") if part.strip()]
    for number, _, name in pairs:
        if not re.fullmatch("[0-9]{1,5}", number.strip()) or int(number) > MOST_ID or not name.strip():
            raise UsageError(f"option values={text}; expected ID:CLASS,ID:CLASS, such as 255:road")
    return {int(number): name.strip() for number, _, name in pairs}


def mask_decoder(
    palette: Palette,
    where: Path,
    encoding: str,
    files: Iterable[PictureFile],
    tolerance: int | None,
    values: Mapping[int, str] = MappingProxyType({}),
) -> MaskDecoder:
    """Return what makes class ids of mask files.

    Masks of one channel hold ids. Those of three hold colours, unless red, green and blue are alike everywhere: these
    are ids, if the class list has no colours, or if they are no grey colours of it.

    Args:
        palette, where: the class list and its file.
        encoding: one of ENCODINGS, or empty: as the first masks show.
        files: the masks.
        tolerance: of colours, or None.
        values: ids besides those of the list, and the classes that they stand for.

    Raises:
        DataError: the masks are colours, or lossy ones at that, and the list has none.
        UsageError: a tolerance for ids, or values for colours.
    """
    looked_at = [] if encoding else list(islice(files, MOST_LOOKED_AT))
    if encoding == "ids" or (not encoding and _hold_ids(looked_at, palette)):
        if tolerance is not None and encoding == "ids":
            raise UsageError(f"option tolerance={tolerance} with encoding=ids; ids are exact: leave it out")
        return palette.decode_ids(encoding == "ids", values)
    if values:
        raise UsageError("option values, but the masks are colours; leave it out: their class list says what they are")
    lossy = next((kind for kind in map(_lossy, looked_at[:1]) if kind), "")
    what = f"the masks are colours in lossy files ({lossy})" if lossy else "the masks are colours"
    return palette.decode_colours(where, tolerance, what)


def _hold_ids(files: Iterable[PictureFile], palette: Palette) -> bool:
    for path in files:
        try:
            has_one_channel, lossy = mask_mode(path)
            if has_one_channel:
                return True
            if lossy:
                return False
            told = _grey_ids(path, palette)
        except DataError:  # it is named when it is read
            continue
        if told is not None:
            return told
    return not palette.has_colours


def _grey_ids(path: PictureFile, palette: Palette) -> bool | None:
    """Return whether a mask of several channels holds ids; None if grey ones may be ids and colours alike."""
    levels = grey_levels(path)
    if levels is None:
        return False
    if not palette.has_colours:
        return True
    greys = {colour[0] for _, colour in palette.lines if len(set(colour)) == 1}
    ids = {*(palette.ids or range(len(palette.lines))), 255}
    are_colours, are_ids = ({int(level) for level in levels} <= known for known in (greys, ids))
    return None if are_colours == are_ids else are_ids


def _lossy(path: PictureFile) -> str:
    try:
        return mask_mode(path)[1]
    except DataError:
        return ""
