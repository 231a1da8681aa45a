"""The settings of a training run, and their file config.toml. Without TensorFlow: `--help` must be quick."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgeseg.data.augment import Augmentation
from edgeseg.errors import EdgesegError, UsageError, nearest
from edgeseg.geometry import FITS, Crop, Size

CLASS_BALANCES = ("log", "none")
PRECISIONS = ("float32", "mixed_bfloat16")
NUMBERS = (int, float)  # and no bool, which is an int to isinstance
CHANGE_NOTHING = ("cache_mb",)  # may differ when a run is resumed: results are the same


def _help(text: str) -> dict[str, str]:
    return {"help": text}


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a training run does. Raises UsageError for a value out of range."""

    data: str = field(
        default="scenes:",
        metadata=_help(
            "labelled pictures, FORMAT:PATH (docs/data.md; scenes: is built in); splits train and val are used"
        ),
    )
    model: str = field(default="fcn8", metadata=_help("architecture: fcn8 or unet"))
    size: Size = field(default=Size(160, 576), metadata=_help("the network's input size, WIDTHxHEIGHT"))
    width: float = field(default=0.25, metadata=_help("multiplies the published numbers of filters"))
    dropout: float = field(default=0.2, metadata=_help("share of features dropped in training"))
    fit: str = field(
        default="stretch", metadata=_help("how a picture's shape meets the network's: stretch, crop or pad")
    )
    crop: Crop | None = field(
        default=None, metadata=_help("the part of each picture that is used: shares x, y, width, height")
    )
    epochs: int = field(default=30, metadata=_help("passes over the train split"))
    batch: int = field(default=8, metadata=_help("pictures a step"))
    learning_rate: float = field(
        default=1e-3, metadata=_help("the highest one; it follows warm-up, then a cosine down to 0")
    )
    warmup: float = field(default=0.05, metadata=_help("share of all steps in which the learning rate rises"))
    weight_decay: float = field(
        default=1e-4, metadata=_help("decoupled weight decay of AdamW, as a share of the learning rate")
    )
    class_balance: str = field(
        default="log",
        metadata=_help("log: class weights 1 / ln(1.10 + share), as in ENet with a milder constant; or none"),
    )
    precision: str = field(default="float32", metadata=_help("float32, or mixed_bfloat16 on hardware that has it"))
    seed: int = field(default=0, metadata=_help("decides weights, order and augmentation"))
    cache_mb: int = field(
        default=2048,
        metadata=_help("pictures are kept in memory if they fit in so many MiB: train, then val in what train leaves"),
    )
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for key, low, high in (
            ("epochs", 1, 100_000),
            ("batch", 1, 4096),
            ("learning_rate", 1e-9, 10),
            ("warmup", 0, 0.9),
            ("weight_decay", 0, 1),
            ("width", 1e-3, 4),
            ("dropout", 0, 0.99),
            ("seed", 0, 2**31 - 1),
            ("cache_mb", 0, 2**30),
        ):
            value, whole = getattr(self, key), isinstance(getattr(type(self), key), int)
            if type(value) not in ((int,) if whole else NUMBERS) or not (math.isfinite(value) and low <= value <= high):
                kind = "whole number" if whole else "number"
                raise UsageError(f"{key} = {value}; expected a {kind} from {low:g} to {high:g}")
        for key, known in (("fit", FITS), ("class_balance", CLASS_BALANCES), ("precision", PRECISIONS)):
            value = getattr(self, key)
            if value not in known:
                raise UsageError(f"{key} = {value!r}{nearest(str(value), known)}; expected one of {', '.join(known)}")
        try:
            self.data.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"data {self.data!a}: not UTF-8; rename the folder, its name is kept with the run"
            ) from error

    def to_toml(self) -> str:
        """Return the settings as TOML with their explanations."""
        lines = ["# The settings of this edgeseg training run."]
        for setting in fields(self):
            value = getattr(self, setting.name)
            if isinstance(value, Augmentation):
                continue
            assignment = f"{setting.name} = {_toml(value)}" if value is not None else f"# {setting.name} ="
            lines.append(f"{assignment}  # {setting.metadata['help']}")
        lines.append("\n[augmentation]")
        lines += [f"{each.name} = {_toml(getattr(self.augmentation, each.name))}" for each in fields(Augmentation)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str = "config.toml") -> TrainSettings:
        """Read what `to_toml` wrote, or a part of it. Raises UsageError, naming `where` and the key."""
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib  # an extra, so not imported before it is needed
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{where}: not TOML ({error}); expected lines such as epochs = 30") from error
        augmentation = document.pop("augmentation", {})
        if not isinstance(augmentation, dict):
            raise UsageError(f"{where}: augmentation is {augmentation!r}; expected a table [augmentation]")
        try:
            values = _checked(document, cls, where)
            return cls(**values, augmentation=Augmentation(**_checked(augmentation, Augmentation, where)))
        except EdgesegError as error:
            raise UsageError(str(error) if str(error).startswith(where) else f"{where}: {error}") from error

    @classmethod
    def read(cls, path: Path) -> TrainSettings:
        """Read a settings file. Raises UsageError."""
        try:
            return cls.from_toml(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: cannot be read ({error}); expected a config.toml of a run") from error

    def differences(self, other: TrainSettings) -> list[str]:
        """Return `name: own value, not other's` for each difference that may change a result."""
        own, others = (dict(_flat(settings)) for settings in (self, other))
        return [
            f"{key}: {own[key]}, not {others[key]}"
            for key in own
            if key not in CHANGE_NOTHING and own[key] != others[key]
        ]


def _flat(settings: TrainSettings) -> list[tuple[str, Any]]:
    pairs = [(each.name, getattr(settings, each.name)) for each in fields(settings) if each.name != "augmentation"]
    return pairs + [
        (f"augmentation.{each.name}", getattr(settings.augmentation, each.name)) for each in fields(Augmentation)
    ]


def _toml(value: Any) -> str:
    if isinstance(value, Size):
        return f'"{value}"'
    if isinstance(value, Crop):
        return str(list(value))
    return json.dumps(value, ensure_ascii=False)


def _checked(document: Mapping[str, Any], kind: type, where: str) -> dict[str, Any]:
    """Convert TOML values to the types of the dataclass `kind`; refuse what it does not know."""
    defaults = {each.name: each.default for each in fields(kind)}
    values = {}
    for key, value in document.items():
        if key not in defaults:
            raise UsageError(f"{where}: unknown setting {key!r}{nearest(key, defaults)}; remove or correct it")
        values[key] = _converted(key, value, defaults[key], where)
    return values


def _converted(key: str, value: Any, default: Any, where: str) -> Any:
    if isinstance(default, Size) and isinstance(value, str):
        return Size.parse(value)
    if key == "crop" and isinstance(value, list) and len(value) == 4 and all(type(share) in NUMBERS for share in value):
        return Crop(*(float(share) for share in value))
    if isinstance(default, float) and type(value) in NUMBERS:
        return float(value)
    if type(value) is type(default):
        return value
    expected = "four shares" if key == "crop" else "WIDTHxHEIGHT" if key == "size" else type(default).__name__
    raise UsageError(f"{where}: {key} = {value!r}; expected {expected}, for example {default}")
