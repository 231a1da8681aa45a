"""The data argument `FORMAT:PATH`, and the table of formats. A new format is one small file and one line here."""

from __future__ import annotations

from importlib import import_module

from edgeseg.data.base import Dataset
from edgeseg.errors import UsageError, nearest

FORMATS = {
    "camvid": "edgeseg.data.camvid:CamVid",
    "scenes": "edgeseg.data.scenes:Scenes",
}


def open_dataset(argument: str) -> Dataset:
    """Open `FORMAT:PATH`, for example `camvid:../data/camvid` or `scenes:train=200`.

    Raises UsageError for an unknown format and DataError for data that is not as the format lays it out.
    """
    name, colon, rest = argument.partition(":")
    known = ", ".join(f"{each}:" for each in FORMATS)
    if not colon:
        raise UsageError(f"data {argument!r}; expected FORMAT:PATH with a format of {known}, as in camvid:{argument}")
    if name not in FORMATS:
        raise UsageError(f"data format {name!r} is unknown{nearest(name, FORMATS)}; expected one of {known}")
    module, _, class_name = FORMATS[name].partition(":")
    dataset: Dataset = getattr(import_module(module), class_name)(rest)
    return dataset
