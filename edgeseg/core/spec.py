"""ModelSpec: everything that a program must know about a model to feed it and to read its output.

It travels as JSON in the ONNX file's metadata under the key `edgeseg`, beside the file as `<file>.spec.json`, and in a
run directory as `spec.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from edgeseg.core.errors import EdgesegError, ModelError, nearest
from edgeseg.core.geometry import FITS, Crop, Size
from edgeseg.core.json_text import parse_json, read_json
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec_values import MOST_PIXELS, check_known, check_texts, colour, is_number, number, typed
from edgeseg.core.tensors import Tensors

METADATA_KEY = "edgeseg"
COLOUR_ORDERS = ("bgr", "rgb", "grey")
PRECISIONS = ("fp32", "fp16", "int8")
_EXPECTED = "an edgeseg model spec, as edgeseg export writes it"
_GUESSABLE_TENSORS = ("tensors.output", "tensors.gives", "tensors.output_layout", "tensors.threshold")
GUESSABLE = ("colour_order", "mean", "scale", "classes", *_GUESSABLE_TENSORS)
"""What no file of a foreign model says for certain."""


@dataclass(frozen=True)
class ModelSpec:
    """The contract of a model, in training, in the ONNX file and in the vehicle.

    Attributes:
        name: free text, by default architecture and encoder.
        architecture: `fcn8`, `unet`, or `foreign`.
        encoder: the feature extractor's name.
        input_size: what the network itself takes.
        colour_order: channel order of the network's input, `bgr` (as OpenCV delivers), `rgb`, or `grey` for one channel
            (a foreign model's; ITU-R BT.601, as OpenCV turns colours into grey).
        mean, scale: one value a channel, in `colour_order`; the network's input is (pixel - mean) * scale, with pixels
            of 0 to 255.
        classes: names and colours in index order, and the ignore index.
        fit, crop: how a picture's shape meets the input size (edgeseg.core.geometry.place).
        camera_size: the picture size that the camera graph takes; None before export.
        precision: `fp32`, `fp16` or `int8`, as written in the graph.
        options: the architecture's own settings, for example its width.
        trained_on: the data argument of the training.
        metrics: what it reached, for example {"miou": 0.61}.
        versions: of edgeseg and the libraries that made it.
        tensors: of a network that is no camera graph.
        guessed: names of fields that nobody has confirmed (GUESSABLE): said at each start and on overlays until they
            are struck out here.
    """

    name: str
    architecture: str
    encoder: str
    input_size: Size
    colour_order: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    classes: ClassMap
    fit: str = "stretch"
    crop: Crop | None = None
    camera_size: Size | None = None
    precision: str = "fp32"
    options: dict[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    tensors: Tensors = field(default_factory=Tensors)
    guessed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_texts({key: getattr(self, key) for key in ("name", "architecture", "encoder", "trained_on")})
        for name in (*self.metrics, *self.versions, *self.options):
            check_texts({"a name in metrics, versions or options": name})
        check_texts({f"versions of {name}": version for name, version in self.versions.items()})
        check_known("colour_order", self.colour_order, COLOUR_ORDERS)
        check_known("fit", self.fit, FITS)
        check_known("precision", self.precision, PRECISIONS)
        for key, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) != self.channels or not all(map(is_number, values)):
                wanted = "three finite numbers" if self.channels == 3 else "one finite number"
                raise ModelError(f"spec: {key} is {values}; expected {wanted}, one a channel")
        for name in self.guessed:
            check_known("guessed", name, GUESSABLE)
        for key, value in self.metrics.items():
            if not is_number(value):
                raise ModelError(f"spec: metrics: {key} is {value!r}; expected a finite number")
        for key, size in (("input_size", self.input_size), ("camera_size", self.camera_size)):
            if size is not None and min(size) < 1:
                raise ModelError(f"spec: {key} is {size}; expected a width and height of at least 1")
            if size is not None and size.height * size.width > MOST_PIXELS:
                raise ModelError(f"spec: {key} is {size}; expected at most {MOST_PIXELS} pixels")

    @property
    def channels(self) -> int:
        """How many the network's input has."""
        return 1 if self.colour_order == "grey" else 3

    def to_json(self) -> str:
        """Return the spec as JSON text with sizes as `WIDTHxHEIGHT`."""
        document = {f.name: getattr(self, f.name) for f in fields(self)}
        document["input_size"] = str(self.input_size)
        document["camera_size"] = self.camera_size and str(self.camera_size)
        document["crop"] = self.crop and list(self.crop)
        document["classes"] = [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(self.classes.names, self.classes.colours, strict=True)
        ]
        document["ignore_index"] = self.classes.ignore_index
        document["tensors"] = self.tensors.to_document()
        document["guessed"] = list(self.guessed)
        for key, is_default in (("tensors", self.tensors == Tensors()), ("guessed", not self.guessed)):
            if is_default:  # so that earlier versions, which refuse unknown keys, read it
                del document[key]
        return json.dumps(document, indent=1)

    @classmethod
    def from_json(cls, text: str, where: str = "spec") -> ModelSpec:
        """Read what `to_json` wrote. Raises ModelError, naming `where`, for anything else."""
        return cls.from_document(parse_json(text, where, _EXPECTED, ModelError), where)

    def to_document(self) -> dict[str, Any]:
        """Return the spec as JSON values, which `from_document` reads."""
        document: dict[str, Any] = json.loads(self.to_json())  # our own text: tuples become lists
        return document

    @classmethod
    def from_document(cls, document: Any, where: str = "spec") -> ModelSpec:
        """Read the values of a JSON document. Raises ModelError, naming `where`."""
        if not isinstance(document, dict):
            raise ModelError(f"{where}: a JSON {type(document).__name__}; expected {_EXPECTED}")
        known = {f.name for f in fields(cls)} | {"ignore_index"}
        _check_keys(document, known, where)
        try:
            return cls(**_decoded(document))
        except EdgesegError as error:
            raise ModelError(f"{where}: {error}") from error
        except (AttributeError, TypeError, ValueError, KeyError) as error:
            raise ModelError(f"{where}: not a complete model spec ({error}); export the model again") from error

    @classmethod
    def read(cls, path: Path) -> ModelSpec:
        """Read a spec file. Raises ModelError."""
        return cls.from_document(read_json(path, _EXPECTED, ModelError), str(path))


def _check_keys(document: Iterable[str], known: set[str], where: str) -> None:
    for key in document:
        if key not in known:
            raise ModelError(f"{where}: unknown key {key!r}{nearest(key, known)}; remove or correct it")


def _decoded(document: dict[str, Any]) -> dict[str, Any]:
    values = dict(document)
    ignore_index = typed(values.pop("ignore_index", 255), int, "ignore_index")
    classes = typed(values["classes"], list, "classes")
    values["classes"] = ClassMap(
        tuple(typed(entry["name"], str, "a class's name") for entry in classes),
        tuple(colour(entry["colour"]) for entry in classes),
        ignore_index,
    )
    values["input_size"] = Size.parse(str(values["input_size"]))
    if values.get("camera_size"):
        values["camera_size"] = Size.parse(str(values["camera_size"]))
    if values.get("crop"):
        values["crop"] = Crop(*(number(share, "crop") for share in values["crop"]))
    if "tensors" in values:
        _check_keys(typed(values["tensors"], dict, "tensors"), {f.name for f in fields(Tensors)}, "spec: tensors")
        values["tensors"] = Tensors(**values["tensors"])
    for key in ("mean", "scale"):
        values[key] = tuple(number(value, key) for value in typed(values[key], list, key))
    for key in ("options", "metrics", "versions"):
        values[key] = typed(values.get(key, {}), dict, key)
    values["guessed"] = tuple(typed(values.get("guessed", []), list, "guessed"))
    return values


def guesses_line(spec: ModelSpec) -> str:
    """Return what a user is told of a spec with guesses at each start; empty without any."""
    if not spec.guessed:
        return ""
    named = ", ".join(spec.guessed)
    return (
        f"{spec.name}: nobody has confirmed its {named}; check the masks, then strike these out of the spec's guessed"
    )


def spec_lines(spec: ModelSpec) -> Iterator[str]:
    """Yield what a user reads of a spec."""
    frames = f"frames of {spec.camera_size}, " if spec.camera_size else ""
    yield f"spec: {spec.name}, {frames}network {spec.input_size}, fit {spec.fit}, {spec.precision}"
    yield f"classes: {', '.join(spec.classes.names)}"
    if spec.trained_on:
        reached = ", ".join(f"{name} {value:.4g}" for name, value in spec.metrics.items())
        yield f"trained on {spec.trained_on}{f', reached {reached}' if reached else ''}"
    if spec.versions:
        yield f"made with {', '.join(f'{name} {version}' for name, version in spec.versions.items())}"
