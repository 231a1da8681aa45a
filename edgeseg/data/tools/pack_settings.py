"""Settings of `edgeseg data pack`; light enough for the command line to read."""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import FITS, Crop, Size
from edgeseg.core.settings import check_settings, setting

ENCODINGS = ("raw", "jpeg", "png")


@dataclass(frozen=True)
class PackSettings:
    """How pictures and masks are packed. Raises UsageError for a value out of range."""

    size: Size | None = setting(None, "size that pictures are brought to, as training does it; without it, their own")
    fit: str = setting("stretch", f"how a picture's shape meets the size: {', '.join(FITS)}", choices=FITS)
    crop: Crop | None = setting(None, "part of the pictures that is packed")
    padding: tuple[int, int, int] = setting((0, 0, 0), "BGR colour of what a picture does not reach")
    encoding: str = setting("raw", "of the pictures; masks are raw too, else PNG", choices=ENCODINGS)
    quality: int = setting(95, "of JPEG", between=(1, 100))
    shard_mb: int = setting(128, "megabytes after which a new shard begins", between=(1, 100_000))

    def __post_init__(self) -> None:
        check_settings(self)
        if self.fit != "stretch" and self.size is None:
            raise UsageError(f"fit {self.fit} without a size; expected --size WIDTHxHEIGHT with it")
