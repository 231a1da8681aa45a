"""Trained models as predictors: a run directory, a .keras file or an .onnx file, all asked the same way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Placement, Size, place, place_through
from edgeseg.core.spec import ModelSpec
from edgeseg.data.base import Image, Mask
from edgeseg.data.feeding.fit import fit_image
from edgeseg.runtime.engines.settings import EngineSettings

BATCH = 8  # one traced shape; a last batch that is not full is filled up


class Predictor(ABC):
    """A model that gives class maps. A context manager: an engine owns resources."""

    spec: ModelSpec

    def __enter__(self) -> Predictor:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Free what the predictor owns."""

    @abstractmethod
    def placement(self, picture: Size) -> Placement:
        """Return how a picture of this size is laid onto the network's input."""

    @abstractmethod
    def predict(self, images: Sequence[Image]) -> list[Mask]:
        """Return one (h, w) uint8 class map at network size for each (H, W, 3) uint8 BGR picture of any size."""


class KerasPredictor(Predictor):
    """A Keras model with its spec; with `flip`, probabilities are the mean of the picture's and its mirror image's."""

    def __init__(self, model: Any, spec: ModelSpec, flip: bool = False) -> None:
        from edgeseg.models.inputs import network_input, padding_colour
        from edgeseg.tf import tf

        self.spec = spec
        self._padding = padding_colour(spec)

        def class_maps(frames: Any) -> Any:
            pixels = network_input(frames, spec)
            scores = model(pixels, training=False)
            if flip:
                mirrored = model(tf.reverse(pixels, axis=[2]), training=False)
                scores = tf.nn.softmax(scores) + tf.reverse(tf.nn.softmax(mirrored), axis=[2])
            return tf.cast(tf.argmax(scores, axis=-1, output_type=tf.int32), tf.uint8)

        frames = tf.TensorSpec((BATCH, *spec.input_size, 3), tf.uint8)
        self._class_maps = tf.function(class_maps, input_signature=[frames])

    def placement(self, picture: Size) -> Placement:
        return place(picture, self.spec.input_size, self.spec.fit, self.spec.crop)

    def predict(self, images: Sequence[Image]) -> list[Mask]:
        class_maps: list[Mask] = []
        for first in range(0, len(images), BATCH):
            some = images[first : first + BATCH]
            frames: NDArray[np.uint8] = np.zeros((BATCH, *self.spec.input_size, 3), np.uint8)
            for frame, image in zip(frames, some, strict=False):
                frame[:] = fit_image(image, self.placement(Size(*image.shape[:2])), self._padding)
            class_maps.extend(self._class_maps(frames).numpy()[: len(some)])
        return class_maps


class EnginePredictor(Predictor):
    """An exported camera graph in one of the runtime's engines: the same file and code as in the vehicle."""

    def __init__(
        self, path: Path, settings: EngineSettings | None = None, notice: Callable[[str], None] | None = None
    ) -> None:
        from edgeseg.runtime.engines.choose import load_engine

        with ExitStack() as stack:
            engine = load_engine(path, settings or EngineSettings(), notice, names_backend=False)
            self._engine = stack.enter_context(engine)
            self._owned = stack.pop_all()
        self.spec = self._engine.spec

    def close(self) -> None:
        self._owned.close()

    def placement(self, picture: Size) -> Placement:
        spec = self.spec
        return place_through(self._engine.frame_size, picture, spec.input_size, spec.fit, spec.crop)

    def predict(self, images: Sequence[Image]) -> list[Mask]:
        return [np.array(self._engine.run(self._frame(image)).class_map) for image in images]

    def _frame(self, image: Image) -> Image:
        height, width = self._engine.frame_size
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        return np.ascontiguousarray(image)


def load_predictor(
    path: Path,
    engine: EngineSettings | None = None,
    size: Size | None = None,
    flip: bool = False,
    notice: Callable[[str], None] | None = None,
) -> Predictor:
    """Open a run directory, a `.keras` file (with spec.json beside it) or an `.onnx` file.

    Args:
        path: what to open.
        engine: how an ONNX file is run, as in the runtime.
        size: run the network at this input size instead of the one it was trained at.
        flip: average the picture's probabilities with its mirror image's, at twice the cost.
        notice: told what a user must know of an ONNX file, as of edgeseg.runtime.engines.choose.load_engine.

    Raises:
        ModelError: missing, half-written or without a spec.
        UsageError: `size` is none that the network can take; `size` or `flip` with an ONNX file.
    """
    try:
        if path.is_dir():
            path = _model_of_run(path)
        is_there = path.exists()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}); give a model that can") from error
    if not is_there:
        raise ModelError(f"{path}: no such model; expected a run directory, a .keras file or an .onnx file")
    if path.suffix == ".onnx":
        if size or flip:
            option = f"size {size}" if size else "flip"
            raise UsageError(f"{path}: {option} with an ONNX file, whose graph is fixed; give the run it came from")
        return EnginePredictor(path, engine, notice)
    if path.suffix == ".keras":
        return _keras_predictor(path, size, flip)
    raise ModelError(f"{path}: {path.suffix or 'no suffix'}; expected a run directory, a .keras file or an .onnx file")


def _model_of_run(path: Path) -> Path:
    model = path / "model.keras"
    if not model.is_file():
        raise ModelError(f"{path}: no model.keras in it; expected a run directory of edgeseg train that ended an epoch")
    return model


def _keras_predictor(path: Path, size: Size | None, flip: bool) -> KerasPredictor:
    from edgeseg.models.build import load_model

    spec = ModelSpec.read(path.with_name("spec.json"))
    model = load_model(path)
    expected = (None, *spec.input_size, len(spec.classes))
    if tuple(model.output_shape) != expected:
        raise ModelError(
            f"{path}: output {model.output_shape}, but its spec.json says {expected}; "
            f"keep a model beside its own spec.json"
        )
    if size and size != spec.input_size:
        model, spec = _resized(model, size, spec), replace(spec, input_size=size)
    return KerasPredictor(model, spec, flip)


def _resized(model: Any, size: Size, spec: ModelSpec) -> Any:
    """Return the same layers with the same weights on another input size: the networks are fully convolutional."""
    from edgeseg.models.options import NetworkOptions, check_input_size
    from edgeseg.tf import keras

    check_input_size(NetworkOptions.from_spec(spec), size)
    resized = keras.models.clone_model(model, input_tensors=keras.Input((*size, 3), name=model.inputs[0].name))
    resized.set_weights(model.get_weights())
    return resized
