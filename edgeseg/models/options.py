"""NetworkOptions: all that decides how a network is built, but its input size and its classes. Without TensorFlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from edgeseg.core.errors import EdgesegError, ModelError, UsageError, nearest
from edgeseg.core.geometry import Size
from edgeseg.core.settings import check_settings, setting
from edgeseg.core.spec import ModelSpec
from edgeseg.models.registry import ARCHITECTURES, ENCODERS, Encoder, Preprocessing, find

DECODERS = ("published", "wide", "light")
UPSAMPLING_KERNELS = ("per-class", "dense")
LIGHT_DECODER_WIDTH = 64
SCORE_STRIDES = (1, 2, 4, 8)
UPSAMPLINGS = ("transposed", "nearest", "bilinear")
COMPACT_LEVELS = 3
_BEFORE = {"upsampling_kernel": "dense"}  # what networks had before the option was there, where its default is another


@dataclass(frozen=True)
class NetworkOptions:
    """A network but for its input size and its classes. Raises UsageError for what does not go together.

    Attributes:
        encoder: a key of ENCODERS that the architecture can have; empty for the architecture's own.
        width: 0 for the encoder's usual one.
        batch_norm: normalise after every convolution that does not belong to an encoder of keras.applications.
        skip_scales: multiply pool3 by 1e-4 and pool4 by 1e-2, as FCN-8s trained all at once does on raw VGG features.
        pretrained: the encoder's weights are published ones, which decides what its input looks like.
    """

    architecture: str = "fcn8"
    encoder: str = ""
    width: float = setting(0.0, "multiplies the published numbers of filters; 0: the encoder's usual", between=(0, 4))
    dropout: float = setting(0.2, "share of features dropped in training", between=(0, 0.99))
    decoder: str = setting(
        "published",
        "of an FCN: scores of the pools (published), or raw pools added at their own channels (wide); of unet: joined "
        "features and two 3x3 convolutions (published), or for real time added ones and a separable one (light)",
        choices=DECODERS,
    )
    decoder_width: int = setting(LIGHT_DECODER_WIDTH, "filters of the light decoder", between=(8, 512))
    upsampling: str = setting(
        "transposed",
        "transposed convolution that starts bilinear, or a resize (nearest, bilinear) and a 2x2 convolution",
        choices=UPSAMPLINGS,
    )
    upsampling_kernel: str = setting(
        "per-class",
        "of the transposed convolutions that enlarge class scores: one for each class, or one for each pair (dense)",
        choices=UPSAMPLING_KERNELS,
    )
    batch_norm: bool = True
    skip_scales: bool = False
    freeze_upsampling: bool = setting(False, "keep bilinear kernels as they are")
    levels: int = setting(COMPACT_LEVELS, "of the unet encoder: 3 is the compact one, 4 the paper's", between=(2, 5))
    score_stride: int = setting(
        1,
        "of unet: its decoder ends at this stride, 1, 2, 4 or 8, and the classes' scores are enlarged from there; 1: "
        "the published one; more is quicker, and a narrow network keeps enough channels to tell the classes apart",
        between=(1, 8),
    )
    pretrained: bool = False

    def __post_init__(self) -> None:
        architecture = find("model", self.architecture, ARCHITECTURES)
        object.__setattr__(self, "encoder", self.encoder or architecture.encoders[0])
        encoder = find("encoder", self.encoder, ENCODERS)
        if self.encoder not in architecture.encoders:
            known = ", ".join(architecture.encoders)
            raise UsageError(f"{self.architecture} cannot have the encoder {self.encoder}; it can have {known}")
        object.__setattr__(self, "width", self.width or (1.0 if self.pretrained else encoder.usual_width))
        check_settings(self)
        self._check_width(encoder)
        self._check_combination()

    def _check_width(self, encoder: Encoder) -> None:
        low, high = encoder.widths
        if not low <= self.width <= high:
            possible = f"width {low:g} only" if low == high else f"a width from {low:g} to {high:g}"
            raise UsageError(
                f"width {self.width:g}; {self.encoder} is published at {possible}: use that, or another encoder"
            )

    def _check_combination(self) -> None:
        wrong = self._wrong_decoder() or self._wrong_score_stride()
        if self.encoder != "unet" and self.levels != COMPACT_LEVELS:
            wrong = f"levels {self.levels} belong to the encoder unet; {self.encoder} has its own"
        elif self.encoder == "vgg16" and self.pretrained and self.batch_norm:
            wrong = "the published weights of vgg16 are for no batch norm; leave batch_norm at auto or switch it off"
        elif self.upsampling != "transposed" and self.freeze_upsampling:
            wrong = f"upsampling {self.upsampling} has no bilinear kernels to freeze"
        if wrong:
            raise UsageError(wrong)

    def _wrong_decoder(self) -> str:
        is_unet = self.architecture == "unet"
        if is_unet and self.decoder == "wide":
            return "decoder wide belongs to an FCN; unet has published and light: use one of them, or --model fcn8"
        if not is_unet and self.decoder == "light":
            return f"decoder light belongs to unet; {self.architecture} has published and wide: use --model unet"
        if self.decoder != "light" and self.decoder_width != LIGHT_DECODER_WIDTH:
            return f"decoder width {self.decoder_width} belongs to the decoder light: use --decoder light with it"
        if is_unet and self.skip_scales:
            return "skip scales belong to an FCN; unet joins features unscaled: use --model fcn8, or leave them out"
        return ""

    def _wrong_score_stride(self) -> str:
        if self.architecture != "unet" and self.score_stride != 1:
            return f"score stride {self.score_stride} belongs to unet; {self.architecture} has its own: leave it out"
        if self.score_stride not in SCORE_STRIDES:
            return f"score stride {self.score_stride}; expected {', '.join(map(str, SCORE_STRIDES))}"
        if self.score_stride >= self.stride:
            return f"score stride {self.score_stride}; the encoder's stride is {self.stride}: expected a smaller one"
        return ""

    @property
    def stride(self) -> int:
        """What width and height must be multiples of: the network halves and doubles them without a remainder."""
        return ENCODERS[self.encoder].stride or 2**self.levels

    @property
    def name(self) -> str:
        return f"{self.architecture}-{self.encoder}"

    @property
    def preprocessing(self) -> Preprocessing:
        encoder = ENCODERS[self.encoder]
        return encoder.pretrained if self.pretrained else encoder.untrained

    def to_document(self) -> dict[str, Any]:
        """Return what belongs into ModelSpec.options: all but architecture and encoder, which the spec names itself."""
        return {name: value for name, value in asdict(self).items() if name not in ("architecture", "encoder")}

    @classmethod
    def from_spec(cls, spec: ModelSpec) -> NetworkOptions:
        """Return the options of a model by its spec; those that an older edgeseg did not know have its values.

        Raises:
            ModelError: no network of edgeseg, or options that it does not know.
        """
        known = [each.name for each in fields(cls)]
        for key in spec.options:
            if key not in known:
                raise ModelError(
                    f"spec of {spec.name}: unknown option {key!r}{nearest(key, known)}; remove or correct it"
                )
        try:
            return cls(spec.architecture, spec.encoder, **{**_BEFORE, **spec.options})
        except (EdgesegError, TypeError) as error:
            raise ModelError(f"spec of {spec.name}: {error}; expected a network of edgeseg train") from error


def preprocessing(network: NetworkOptions | str) -> Preprocessing:
    """Return colour order, mean and scale of a network's input; an architecture's name stands for its defaults."""
    return options_of(network).preprocessing


def check_input_size(network: NetworkOptions | str, size: Size) -> None:
    """Raise UsageError, with the next size that fits, if the network cannot take `size`."""
    options = options_of(network)
    stride = options.stride
    if size.height % stride or size.width % stride:
        fitting = Size(*(-(-side // stride) * stride for side in size))
        raise UsageError(
            f"{options.name} takes sizes that are multiples of {stride}; {size} is not: use {fitting}",
        )


def options_of(network: NetworkOptions | str, **changes: Any) -> NetworkOptions:
    """Return options as they are, or those of an architecture by its name with `changes` to the defaults."""
    if isinstance(network, NetworkOptions):
        if changes:
            raise TypeError(f"{', '.join(changes)} given beside NetworkOptions; expected them inside")
        return network
    return NetworkOptions(network, **changes)
