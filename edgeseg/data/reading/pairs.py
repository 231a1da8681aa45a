"""Pairs of a picture file and a mask file of one name."""

from __future__ import annotations

from pathlib import Path

from edgeseg.core.errors import DataError
from edgeseg.core.labels import ClassMap
from edgeseg.data.base import BrokenSample, Image, Mask, Sample
from edgeseg.data.reading.listing import IMAGE_SUFFIXES, files_in, pictures_in
from edgeseg.data.reading.pictures import MaskDecoder, align_mask_to_exif, read_image


class FileSample(Sample):
    """A picture file and a mask file; `decode` makes class ids of the mask file.

    Both are kept as text: a Path that was once listed holds ten times as much, and a data set has many.
    """

    def __init__(self, image: Path, mask: Path, classes: ClassMap, decode: MaskDecoder) -> None:
        super().__init__(str(mask), classes)
        self._image_name = str(image)
        self._decode = decode

    @property
    def image(self) -> Path:
        return Path(self._image_name)

    @property
    def mask(self) -> Path:
        return Path(self.name)

    def _image(self) -> Image:
        return read_image(self.image, self.bits, self.tell)

    def _class_map(self) -> Mask:
        return align_mask_to_exif(self._decode(self.mask, self.tell), self.image)


def masks_in(folder: Path, suffix: str = "") -> dict[str, Path]:
    """Return the mask files of a folder by what they are called in it, without `suffix`, in a fixed order.

    Without a suffix, all kinds of pictures are masks; of several of one name the PNG is taken, else none of them.
    Raises DataError for such masks.
    """
    found: dict[str, list[Path]] = {}
    for path in files_in(folder, *([suffix] if suffix else IMAGE_SUFFIXES)):
        key = path.relative_to(folder).as_posix()
        found.setdefault(key[: -len(suffix or path.suffix)], []).append(path)
    return {key: _only(paths) for key, paths in found.items()}


def _only(paths: list[Path]) -> Path:
    pngs = [path for path in paths if path.suffix.lower() == ".png"]
    if len(paths) > 1 and len(pngs) != 1:
        listed = " and ".join(path.name for path in paths)
        raise DataError(f"{paths[0].parent}: {listed} are masks of one name; expected one: say suffix=.png or the like")
    return (pngs or paths)[0]


def pair_samples(
    images: Path, masks: Path, classes: ClassMap, decode: MaskDecoder, suffix: str = ""
) -> dict[str, Sample]:
    """Pair the pictures of one folder with the equally named masks of another; one without the other is broken.

    Args:
        images, masks: the folders.
        classes: of the masks.
        decode: makes class ids of a mask file.
        suffix: what a mask's name has behind the picture's stem; any suffix of a picture if it is empty.

    Returns:
        The samples by their name within the folders, without suffix.

    Raises:
        DataError: a folder is not there, or masks of one name.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected images in {images.name}/ and masks in {masks.name}/")
    pictures = [(image.relative_to(images).with_suffix("").as_posix(), image) for image in pictures_in(images)]
    found = masks_in(masks, suffix)
    hint = "" if any(name in found for name, _ in pictures) else _other_suffix(masks, [name for name, _ in pictures])
    samples: dict[str, Sample] = {}
    for name, image in pictures:
        mask = found.get(name) or masks / f"{name}{suffix or '.png'}"
        if name in samples:
            samples[image.relative_to(images).as_posix()] = _twin(image, mask, classes)
        else:
            samples[name] = sample_of(image, mask, classes, decode, hint)
    for name, mask in found.items():
        if name not in samples:
            samples[name] = mask_without_image(mask, classes, images)
    return samples


def _other_suffix(masks: Path, names: list[str]) -> str:
    """Return what may help where no picture has a mask: a mask whose name is longer than a picture's."""
    for mask in files_in(masks, *IMAGE_SUFFIXES):
        key = mask.relative_to(masks).as_posix()
        stem = next((name for name in names if key.startswith(name)), None)
        if stem is not None:
            return f" ({mask.name} is there: say suffix={key[len(stem) :]})"
    return ""


def sample_of(image: Path, mask: Path, classes: ClassMap, decode: MaskDecoder, hint: str = "") -> Sample:
    """Return the pair as a sample, broken if its mask is missing; `hint` goes into its message."""
    if mask.is_file():
        return FileSample(image, mask, classes, decode)
    problem = DataError(f"{image}: no mask; expected {mask}{hint}: add the mask or remove the image")
    return BrokenSample(str(image), classes, problem)


def _twin(image: Path, mask: Path, classes: ClassMap) -> Sample:
    problem = DataError(
        f"{image}: another picture of this name has {mask} too; expected one: remove or rename the other"
    )
    return BrokenSample(str(image), classes, problem)


def mask_without_image(mask: Path, classes: ClassMap, images: Path) -> Sample:
    """Return the broken sample of a mask whose picture is missing."""
    problem = DataError(f"{mask}: no image; expected one of this name in {images}: add it or remove the mask")
    return BrokenSample(str(mask), classes, problem)
