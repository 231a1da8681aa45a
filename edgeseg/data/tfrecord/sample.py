"""Samples in TFRecords: how a picture and a mask lie in a record, as edgeseg packs them and as others do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import EncodedSample, Image, Mask, Sample
from edgeseg.data.reading.pictures import Encoded, MaskDecoder, align_mask_to_exif, read_image, read_whole
from edgeseg.data.remarks import Tell
from edgeseg.data.splits import sequence_of
from edgeseg.data.tfrecord.example import Example, example_from
from edgeseg.data.tfrecord.file import read_record

# Areas of one id compress best, and are decoded twice as fast, without the filters that are meant for photographs.
_NO_FILTER = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE) if hasattr(cv2, "IMWRITE_PNG_FILTER") else ()
MASK_FLAGS = (cv2.IMWRITE_PNG_COMPRESSION, 6, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT, *_NO_FILTER)


class Layout(ABC):
    """Finds picture and labels in a record. Both raise DataError."""

    @abstractmethod
    def image(self, record: Example, bits: int | None, tell: Tell) -> Image: ...

    @abstractmethod
    def class_map(self, record: Example, tell: Tell) -> Mask: ...


@dataclass(frozen=True)
class EncodedFiles(Layout):
    """Whole picture files under two keys, as most tutorials write them.

    Attributes:
        image_key, mask_key: where they are.
        decode: makes class ids of a mask file.
    """

    image_key: str
    mask_key: str
    decode: MaskDecoder

    def image(self, record: Example, bits: int | None, tell: Tell) -> Image:
        return read_image(self._image_file(record), bits, tell)

    def class_map(self, record: Example, tell: Tell) -> Mask:
        mask = Encoded(record.bytes_of(self.mask_key), f"{record.where}: mask")
        return align_mask_to_exif(self.decode(mask, tell), self._image_file(record))

    def _image_file(self, record: Example) -> Encoded:
        return Encoded(record.bytes_of(self.image_key), f"{record.where}: image")


def packed_record(image: Image, class_map: Mask, name: str, encoding: str, quality: int) -> bytes:
    """Return picture (H, W, 3) BGR and class map (H, W), both uint8, as a serialised Example that `Packed` reads.

    Raw pictures are RGB; masks are raw then, else PNG.
    """
    height, width = class_map.shape
    if encoding == "raw":
        parts = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).tobytes(), class_map.tobytes()
    else:
        flags = (cv2.IMWRITE_JPEG_QUALITY, quality) if encoding == "jpeg" else ()
        parts = _encoded(f".{encoding}", image, name, flags), _encoded(".png", class_map, name, MASK_FLAGS)
    sizes = {"height": height, "width": width}
    texts = {"name": name.encode(errors="surrogateescape"), "encoding": encoding.encode()}
    return example_from({"image": parts[0], "mask": parts[1], **texts, **sizes})


def _encoded(suffix: str, pixels: Image, name: str, flags: tuple[int, ...] = ()) -> bytes:
    try:
        done, encoded = cv2.imencode(suffix, pixels, flags)
    except cv2.error:
        done = False
    if not done:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise DataError(f"{name}: {size} pixels cannot be written as {suffix[1:].upper()}; pack with --encoding raw")
    return encoded.tobytes()


class Packed(Layout):
    """What `packed_record` wrote."""

    def image(self, record: Example, bits: int | None, tell: Tell) -> Image:
        if record.bytes_of("encoding") != b"raw":
            return read_image(Encoded(record.bytes_of("image"), f"{record.where}: image"), None, tell)
        height, width = self._size(record)
        pixels = self._raw(record, "image", height * width * 3).reshape(height, width, 3)
        return cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR).astype(np.uint8, copy=False)

    def class_map(self, record: Example, tell: Tell) -> Mask:
        if record.bytes_of("encoding") == b"raw":
            height, width = self._size(record)
            return np.array(self._raw(record, "mask", height * width).reshape(height, width))
        mask = Encoded(record.bytes_of("mask"), f"{record.where}: mask")
        read_whole(mask)
        decoded = cv2.imdecode(np.frombuffer(mask.content, np.uint8), cv2.IMREAD_UNCHANGED)
        if decoded is None or decoded.ndim != 2 or decoded.dtype != np.uint8:
            raise DataError(f"{mask}: no PNG of class ids in 8 bits; expected what edgeseg packed: pack it again")
        return decoded.astype(np.uint8, copy=False)

    def _size(self, record: Example) -> tuple[int, int]:
        return record.number_of("height"), record.number_of("width")

    def _raw(self, record: Example, key: str, size: int) -> Mask:
        pixels = record.bytes_of(key)
        if not len(pixels) == size > 0:
            raise DataError(f"{record.where}: {key} of {len(pixels)} bytes; expected {size}: pack it again")
        return np.frombuffer(pixels, np.uint8)


class RecordSample(EncodedSample):
    """One record of a file. Its name holds file, byte and, if it is known, what the picture is called."""

    def __init__(self, path: Path, offset: int, name: str, classes: ClassMap, layout: Layout, named: bool) -> None:
        super().__init__(f"{path}@{offset}/{name}", classes)
        self._path, self._offset, self._layout = path, offset, layout
        self._recorded_name = name if named else None
        self.drive = sequence_of(name) if named else None  # file and byte tell none

    def _opened(self) -> Sample:
        where = f"{self._path}: byte {self._offset}"
        record = Example(read_record(self._path, self._offset), where)
        if self._recorded_name is not None:
            found = record.bytes_of("name")
            if found != self._recorded_name.encode(errors="surrogateescape"):
                raise DataError(
                    f"{where}: holds {found.decode(errors='replace')!r}; expected {self._recorded_name!r}, as the "
                    f"index says: the shard is of another pack, copy all files of one"
                )
        return _OpenedRecord(self.name, self.classes, record, self._layout)


class _OpenedRecord(Sample):
    """A record in memory: read once for picture and labels, and gone with them."""

    def __init__(self, name: str, classes: ClassMap, record: Example, layout: Layout) -> None:
        super().__init__(name, classes)
        self._record, self._layout = record, layout

    def _image(self) -> Image:
        return self._layout.image(self._record, self.bits, self.tell)

    def _class_map(self) -> Mask:
        return self._layout.class_map(self._record, self.tell)
