"""The settings of a training run, and their file config.toml. Without TensorFlow: `--help` must be quick."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from edgeseg.core.errors import EdgesegError, UsageError, nearest
from edgeseg.core.geometry import FITS, Crop, Size
from edgeseg.core.numbers import NUMBERS
from edgeseg.core.settings import check_settings, same_setting, setting
from edgeseg.core.small_files import read_small
from edgeseg.core.toml import parse_toml
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.data.feeding.class_balance import BALANCES
from edgeseg.models.initial_network import network_from, network_like
from edgeseg.models.options import NetworkOptions
from edgeseg.models.registry import ARCHITECTURES, ENCODERS

_NETWORK = (
    *("width", "dropout", "decoder", "decoder_width", "upsampling", "upsampling_kernel", "freeze_upsampling"),
    *("levels", "score_stride"),
)
CHANGE_NOTHING = ("cache_mb", "checkpoint_minutes")  # may differ when a run is resumed: results are the same
VALIDATION_STEPS, EARLY_VALIDATION_STEPS = 500, 50
LOSSES = ("cross_entropy", "focal", "dice")


@dataclass(frozen=True)
class TrainSettings:
    """Everything that decides what a training run does. Raises UsageError for a value out of range."""

    data: str = setting(
        "scenes:", "labelled pictures, FORMAT:PATH (docs/data.md; scenes: is built in); splits train and val are used"
    )
    model: str = setting("fcn8", f"architecture: {', '.join(ARCHITECTURES)}")
    encoder: str = setting("auto", "feature extractor; auto: vgg16, or for unet its own", choices=("auto", *ENCODERS))
    weights: str = setting(
        "none", "of the encoder: none, imagenet (downloaded), or a file of the keras.applications model's weights"
    )
    init: str = setting("", "start from the model of this run, where layers are alike; other classes get a new head")
    size: Size = setting(Size(160, 576), "the network's input size, WIDTHxHEIGHT")
    train_size: Size | None = setting(
        None,
        "train on windows of this size, at random places of the augmented pictures of --size, or on all of them where "
        "it is --size; validation and export keep --size",
        kind=Size,
    )
    width: float = same_setting(NetworkOptions, "width")
    dropout: float = same_setting(NetworkOptions, "dropout")
    decoder: str = same_setting(NetworkOptions, "decoder")
    decoder_width: int = same_setting(NetworkOptions, "decoder_width")
    upsampling: str = same_setting(NetworkOptions, "upsampling")
    upsampling_kernel: str = same_setting(NetworkOptions, "upsampling_kernel")
    batch_norm: str = setting(
        "auto",
        "after each convolution; auto: on, but off with published weights of vgg16",
        choices=("auto", "on", "off"),
    )
    skip_scales: str = setting(
        "auto",
        "on an FCN's pools: 1e-4, 1e-2 (published); auto: with published weights of vgg16 and no wide decoder",
        choices=("auto", "published", "none"),
    )
    freeze_upsampling: bool = same_setting(NetworkOptions, "freeze_upsampling")
    levels: int = same_setting(NetworkOptions, "levels")
    score_stride: int = same_setting(NetworkOptions, "score_stride")
    fit: str = setting("stretch", "how a picture's shape meets the network's", choices=FITS)
    crop: Crop | None = setting(None, "the part of each picture that is used: shares x, y, width, height", kind=Crop)
    epochs: int = setting(30, "passes over the train split", between=(1, 100_000))
    steps: int = setting(
        0,
        "train so many steps instead of --epochs, however large the train split; 0: --epochs decides",
        between=(0, 10**9),
    )
    batch: int = setting(8, "pictures a step", between=(1, 4096))
    minutes: float = setting(
        0.0,
        "train so long instead of --epochs or --steps, validation included, by the clock: such a run does not repeat "
        "exactly; 0: they decide",
        between=(0, 1e6),
    )
    patience: int = setting(
        0, "end after so many validations without a better mean IoU; 0: never", between=(0, 100_000)
    )
    validate_every: int = setting(
        1,
        f"validate after so many epochs, and at the end; more saves time where an epoch is short; 0: after "
        f"{VALIDATION_STEPS} steps, and once after {EARLY_VALIDATION_STEPS}, to see soon that it learns",
        between=(0, 100_000),
    )
    checkpoint_minutes: float = setting(
        10.0,
        "a checkpoint at least so often, besides that at each epoch's end, or with --validate-every 0 each validation",
        between=(0.01, 1e6),
    )
    optimizer: str = setting("adamw", "what turns gradients into steps", choices=("adamw", "adam", "sgd"))
    momentum: float = setting(0.9, "of sgd", between=(0, 0.9999))
    nesterov: bool = setting(True, "look ahead along sgd's momentum")
    learning_rate: float = setting(1e-3, "the highest one; it follows warm-up, then the schedule", between=(1e-9, 10))
    encoder_rate: float = setting(
        1.0,
        "the encoder's learning rate as a share of the others'; less keeps more of what published weights know",
        between=(0, 1),
    )
    schedule: str = setting(
        "cosine",
        "how the learning rate falls to 0 by the run's end: cosine, or poly, (1 - share done)^0.9; constant does not",
        choices=("cosine", "poly", "constant"),
    )
    warmup: float = setting(0.05, "share of the run in which the learning rate rises", between=(0, 0.9))
    weight_decay: float = setting(
        1e-4, "decoupled weight decay of adamw and sgd, as a share of the learning rate", between=(0, 1)
    )
    clip_norm: float = setting(
        0.0, "gradients are scaled down to this global norm where theirs is larger; 0: never", between=(0, 1e6)
    )
    ema: float = setting(
        0.0,
        "decay of the exponential moving average of weights and batch-norm statistics that is validated and kept, "
        "for example 0.99; 0: the weights themselves are",
        between=(0, 0.99999),
    )
    loss: str = setting("cross_entropy+dice", "cross_entropy, focal, dice, or a sum such as cross_entropy+dice")
    focal_gamma: float = setting(
        2.0, "how little pixels that are nearly right count in the focal loss", between=(0, 10)
    )
    hard_pixels: float = setting(
        1.0, "share of each picture's labelled pixels, the hardest, that cross_entropy and focal see", between=(1e-4, 1)
    )
    teacher: str = setting(
        "",
        "learn also from the probabilities that the model of this run gives, such as a larger one of the same classes",
    )
    teacher_share: float = setting(0.5, "of the loss, what is learned from the teacher", between=(0, 1))
    class_balance: str = setting(
        "none",
        "class weights of cross_entropy and focal, from the data: log is 1 / ln(1.10 + share), as in ENet with a "
        "milder constant",
        choices=BALANCES,
    )
    precision: str = setting(
        "float32",
        "float32, or on hardware that has it mixed_bfloat16 or mixed_float16 (with loss scaling)",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    xla: bool = setting(False, "compile the step with XLA; not with several devices")
    seed: int = setting(0, "decides weights, order and augmentation", between=(0, 2**31 - 1))
    cache_mb: int = setting(
        2048,
        "pictures are kept in memory if they fit in so many MiB: train, then val in what train leaves",
        between=(0, 2**30),
    )
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        check_settings(self)
        self._check_losses()
        check_window(self.window, self.size)
        try:
            self.data.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"data {self.data!a}: not UTF-8; rename the folder, its name is kept with the run"
            ) from error

    def validates_at(self, step: int, steps_per_epoch: int) -> bool:
        """Say whether the model is validated after this step; at a run's end it is in any case."""
        steps = self.validate_every * steps_per_epoch or VALIDATION_STEPS
        early = steps if self.validate_every else EARLY_VALIDATION_STEPS
        if self.minutes:  # the first one tells early how long the last will take
            early = min(early, steps_per_epoch)
        return step % steps == 0 or step == early

    @property
    def window(self) -> Size:
        """The size of what is trained on."""
        return self.train_size or self.size

    @property
    def losses(self) -> tuple[str, ...]:
        """The names of the losses that are summed."""
        return tuple(name.strip() for name in self.loss.split("+"))

    def _check_losses(self) -> None:
        for name in self.losses:
            if name not in LOSSES:
                raise UsageError(
                    f"loss = {self.loss!r}: no {name!r}{nearest(name, LOSSES)}; expected one of {', '.join(LOSSES)}, "
                    f"or a sum of them such as cross_entropy+dice"
                )
        if len(set(self.losses)) < len(self.losses):
            raise UsageError(f"loss = {self.loss!r} names one twice; expected each at most once")

    def network(self) -> NetworkOptions:
        """Return what network is built: what is left open is decided by its encoder and weights, or is as in `init`.

        Raises:
            UsageError: options that do not go together.
            ModelError: the run to start from cannot be read, or has another architecture or encoder.
        """
        given: dict[str, Any] = {name: getattr(self, name) for name in _NETWORK}
        given |= {"encoder": "" if self.encoder == "auto" else self.encoder}
        given |= {name: value for name, value in self._switches().items() if value is not None}
        if self.init:
            return network_like(self.model, self.init, self.weights, given)
        return network_from(self.model, self.weights, given)

    def _switches(self) -> dict[str, bool | None]:
        on = {"on": True, "off": False, "published": True, "none": False}
        return {"batch_norm": on.get(self.batch_norm), "skip_scales": on.get(self.skip_scales)}

    def to_toml(self) -> str:
        """Return the settings as TOML with their explanations."""
        lines = ["# The settings of this edgeseg training run."]
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Augmentation):
                continue
            assignment = f"{each.name} = {_toml(value)}" if value is not None else f"# {each.name} ="
            lines.append(f"{assignment}  # {each.metadata['help']}")
        lines.append("\n[augmentation]")
        for each in fields(Augmentation):
            lines.append(f"{each.name} = {_toml(getattr(self.augmentation, each.name))}  # {each.metadata['help']}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str = "config.toml") -> TrainSettings:
        """Read what `to_toml` wrote, or a part of it. Raises UsageError, naming `where` and the key."""
        document = parse_toml(text, where, "lines such as epochs = 30")
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
            return cls.from_toml(read_small(path), str(path))
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
    known = {each.name: each for each in fields(kind)}
    values = {}
    for key, value in document.items():
        if key not in known:
            raise UsageError(f"{where}: unknown setting {key!r}{nearest(key, known)}; remove or correct it")
        values[key] = _converted(known[key], value, where)
    return values


def _converted(setting: Field[Any], value: Any, where: str) -> Any:
    kind = setting.metadata["kind"]
    if kind is Size and isinstance(value, str):
        return Size.parse(value)
    if kind is Crop and isinstance(value, list) and len(value) == 4 and all(type(share) in NUMBERS for share in value):
        return Crop(*(float(share) for share in value))
    if kind is float and type(value) in NUMBERS:
        return float(value)
    if type(value) is kind:
        return value
    expected = {Size: "WIDTHxHEIGHT, for example 576x160", Crop: "four shares, for example [0, 0.25, 1, 0.75]"}
    said = expected.get(kind, f"{kind.__name__}, for example {setting.default}")
    raise UsageError(f"{where}: {setting.name} = {value!r}; expected {said}")


def check_window(window: Size, size: Size) -> None:
    """Raise UsageError where training's windows are larger than the network's input."""
    if window.height > size.height or window.width > size.width:
        raise UsageError(f"train size {window} is larger than size {size}; expected windows that lie within it")
