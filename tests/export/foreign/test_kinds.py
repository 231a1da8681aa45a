"""Models of every kind that others write: the class map is that of independent code, or the model is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.core.labels import ClassMap
from edgeseg.core.tensors import Tensors
from edgeseg.export.foreign.draft import Draft, draft_spec
from edgeseg.export.inspection import inspect_onnx
from edgeseg.runtime.engines.choose import open_engine
from tests.helpers.foreign_graphs import BOOL, BYTE, FLOAT, HALF, INT64, SIZE, Foreign, node, picture

H, W = SIZE
ONE, MANY, FLAT = [1, 1, H, W], [1, 5, H, W], [1, H, W]
SIGMOID = node("Sigmoid", "scores", "p")
ARGMAX = node("ArgMax", "scores", "ids", axis=1, keepdims=0)
NUMBERS = {
    "half": np.float32(0.5),
    "full": np.float32(255),
    "zero": np.float32(0),
    "one": np.float32(1),
    "least": np.float32(1e-6),
    "most": np.float32(1 - 1e-6),
    "second": np.int64(1),
    "first": np.int64(0),
    "axis0": np.array([0], np.int64),
    "axis1": np.array([1], np.int64),
    "k1": np.array([1], np.int64),
    "nowhere": np.array([], np.float32),
    "flat": np.array(FLAT, np.int64),
    "twice": np.array([1, 1, 2, 2], np.float32),
    "rows": np.array([1, 5, H * W], np.int64),
    "palette": np.arange(15, dtype=np.uint8).reshape(5, 3),
    "q_scale": np.float32(1 / 250),
    "q_zero": np.uint8(3),
}
MASK = node("Greater", "p half", "yes")


def one(*tail: Any, out: Any = ONE, kind: int = FLOAT, **more: Any) -> Foreign:
    return Foreign(1, [SIGMOID, *tail], out, kind, constants=NUMBERS, **more)


def many(*tail: Any, out: Any = MANY, kind: int = FLOAT, classes: int = 5, **more: Any) -> Foreign:
    return Foreign(classes, tail, out, kind, constants=NUMBERS, **more)


BEHIND_A_SIGMOID = {
    "identity": one(node("Identity", "p", "y")),
    "cast": one(node("Cast", "p", "h", to=HALF), node("Cast", "h", "y", to=FLOAT)),
    "reshape": one(node("Reshape", "p flat", "y"), out=FLAT),
    "transpose": one(node("Transpose", "p", "y", perm=[0, 2, 3, 1]), out=[1, H, W, 1]),
    "squeeze": one(node("Squeeze", "p axis1", "y"), out=FLAT),
    "squeezed to a plane": one(node("Squeeze", "p axis1", "q"), node("Squeeze", "q axis0", "y"), out=[H, W]),
    "clip": one(node("Clip", "p least most", "y")),
    "resize": one(node("Resize", "p nowhere twice", "y", mode="nearest"), shrink=2),
    "mul": one(node("Mul", "full p", "y")),
    "bytes": one(node("Mul", "p full", "q"), node("Cast", "q", "y", to=BYTE), kind=BYTE),
    "round": one(node("Round", "p", "y")),
    "rounded ids": one(
        node("Round", "p", "q"), node("Cast", "q", "r", to=INT64), node("Squeeze", "r axis1", "y"), out=FLAT, kind=INT64
    ),
    "greater, bool": one(node("Greater", "p half", "y"), kind=BOOL),
    "greater, float": one(MASK, node("Cast", "yes", "y", to=FLOAT)),
    "greater, 0 and 255": one(
        MASK, node("Cast", "yes", "q", to=FLOAT), node("Mul", "q full", "r"), node("Cast", "r", "y", to=BYTE), kind=BYTE
    ),
    "where, 0 and 255": one(MASK, node("Where", "yes full zero", "y")),
    "not not": one(MASK, node("Not", "yes", "no"), node("Not", "no", "y"), kind=BOOL),
    "tanh": Foreign(1, [node("Tanh", "scores", "y")], ONE),
    "scaled tanh": Foreign(
        1, [node("Tanh", "scores", "t"), node("Add", "t one", "u"), node("Mul", "u half", "y")], ONE, constants=NUMBERS
    ),
    "scores": Foreign(1, [node("Identity", "scores", "y")], ONE),
    "quantised": one(node("QuantizeLinear", "p q_scale q_zero", "y"), kind=BYTE),
    "half floats": Foreign(1, [node("Sigmoid", "scores", "y")], ONE, HALF, taken=HALF),
}
OF_MANY = {
    "scores": many(node("Identity", "scores", "y")),
    "NHWC in and out": many(node("Transpose", "scores", "y", perm=[0, 2, 3, 1]), out=[1, H, W, 5], layout="nhwc"),
    "NHWC in, NCHW out": many(node("Identity", "scores", "y"), layout="nhwc"),
    "NCHW in, NHWC out": many(node("Transpose", "scores", "y", perm=[0, 2, 3, 1]), out=[1, H, W, 5]),
    "as many classes as columns": Foreign(W, [node("Identity", "scores", "y")], [1, W, H, W], layout="nhwc"),
    "softmax": many(node("Softmax", "scores", "p", axis=1), node("Identity", "p", "y")),
    "log softmax": many(node("LogSoftmax", "scores", "y", axis=1)),
    "sigmoid for each": many(node("Sigmoid", "scores", "y")),
    "without a batch": many(node("Squeeze", "scores axis0", "y"), out=[5, H, W]),
    "argmax": many(ARGMAX, node("Identity", "ids", "y"), out=FLAT, kind=INT64),
    "argmax, float": many(
        node("ArgMax", "scores", "ids", axis=1), node("Cast", "ids", "y", to=FLOAT), out=ONE, kind=FLOAT
    ),
    "argmax, a plane of bytes": many(
        ARGMAX, node("Cast", "ids", "b", to=BYTE), node("Squeeze", "b axis0", "y"), out=[H, W], kind=BYTE
    ),
    "argmax of NHWC": many(
        node("Transpose", "scores", "t", perm=[0, 2, 3, 1]),
        node("ArgMax", "t", "y", axis=-1, keepdims=0),
        out=FLAT,
        kind=INT64,
        layout="nhwc",
    ),
    "argmax of two": many(ARGMAX, node("Identity", "ids", "y"), out=FLAT, kind=INT64, classes=2),
    "argmax of two, times 255": many(
        ARGMAX, node("Cast", "ids", "f", to=FLOAT), node("Mul", "f full", "y"), out=FLAT, classes=2
    ),
    "topk": many(node("TopK", "scores k1", "v y", axis=1), out=ONE, kind=INT64),
    "second of a softmax of two": many(
        node("Softmax", "scores", "p", axis=1), node("Gather", "p second", "y", axis=1), out=FLAT, classes=2
    ),
    "bytes in, NHWC": many(node("Identity", "scores", "y"), layout="nhwc", taken=BYTE),
    "bytes in, NCHW": many(node("Identity", "scores", "y"), taken=BYTE),
    "grey in": many(node("Identity", "scores", "y"), channels=1),
    "grey bytes in": many(node("Identity", "scores", "y"), channels=1, taken=BYTE, layout="nhwc"),
    "free size": many(node("Identity", "scores", "y"), out=[1, 5, "h", "w"], free=True),
    "beside an auxiliary output": many(
        node("Neg", "scores", "aux"), node("Identity", "scores", "y"), more=[("aux", FLOAT, MANY)]
    ),
}


def draft(model: Foreign, tmp_path: Path) -> tuple[Path, Draft]:
    path = model.write(tmp_path / "foreign.onnx")
    return path, draft_spec(inspect_onnx(path), SIZE if model.free else None)


def class_map(path: Path, drafted: Draft, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    path.with_name(f"{path.name}.spec.json").write_text(drafted.spec.to_json())
    with pytest.warns(UserWarning, match="nobody has confirmed"), open_engine(path, "onnxruntime-cpu") as engine:
        return np.array(engine.run(frame).class_map)


def check(given: NDArray[np.uint8], margin: NDArray[np.float32], wanted: NDArray[Any]) -> None:
    """Compare class maps; where two classes are equal but for rounding, either is right."""
    assert given.shape == wanted.shape
    clear = np.abs(margin) > 2e-2
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(given[clear], wanted[clear])


@pytest.mark.parametrize("name", BEHIND_A_SIGMOID)
def test_one_channel_is_the_class_where_its_score_is_positive(tmp_path: Path, name: str) -> None:
    model, frame = BEHIND_A_SIGMOID[name], picture()
    path, drafted = draft(model, tmp_path)
    assert len(drafted.spec.classes) == 2
    scores = model.scores(frame)[0].repeat(model.shrink, 0).repeat(model.shrink, 1)
    check(class_map(path, drafted, frame), scores, scores > 0)


@pytest.mark.parametrize("name", OF_MANY)
def test_of_many_channels_the_greatest_is_the_class(tmp_path: Path, name: str) -> None:
    model, frame = OF_MANY[name], picture()
    path, drafted = draft(model, tmp_path)
    assert len(drafted.spec.classes) == model.classes
    scores = model.scores(frame)
    best = np.sort(scores, axis=0)
    check(class_map(path, drafted, frame), best[-1] - best[-2], scores.argmax(0))


def test_a_smaller_output_is_enlarged_as_scores_and_not_as_classes(tmp_path: Path) -> None:
    model, frame = many(node("Identity", "scores", "y"), out=[1, 5, H // 4, W // 4], shrink=4), picture()
    path, drafted = draft(model, tmp_path)
    planes = np.stack([cv2.resize(each, (W, H), interpolation=cv2.INTER_LINEAR) for each in model.scores(frame)])
    best = np.sort(planes, axis=0)
    check(class_map(path, drafted, frame), best[-1] - best[-2], planes.argmax(0))


def names_of(task: str) -> dict[str, str]:
    return {"author": "Ultralytics", "task": task, "names": "{0: 'road', 1: 'car', 2: 'tree', 3: 'sky', 4: 'pole'}"}


REFUSED: dict[str, tuple[Foreign, str]] = {
    "the rest's share": (one(node("Sub", "one p", "y")), "turned round"),
    "negated mask": (one(MASK, node("Where", "yes zero full", "y")), "turned round"),
    "negated scores": (many(node("Neg", "scores", "y")), "turned round"),
    "softmax of one": (Foreign(1, [node("Softmax", "scores", "y", axis=1)], ONE), "1 everywhere"),
    "first of a softmax of two": (
        many(node("Softmax", "scores", "p", axis=1), node("Gather", "p first", "y", axis=1), out=FLAT, classes=2),
        "channel 0 of several alone",
    ),
    "second of five": (
        many(node("Softmax", "scores", "p", axis=1), node("Gather", "p second", "y", axis=1), out=FLAT),
        "channel 1 of several alone",
    ),
    "greatest share": (
        many(node("Softmax", "scores", "p", axis=1), node("ReduceMax", "p", "y", axes=[1]), out=ONE),
        "made by ReduceMax",
    ),
    "topk's values": (many(node("TopK", "scores k1", "y i", axis=1), out=ONE), "made by TopK"),
    "cut share": (one(node("Cast", "p", "y", to=BYTE), kind=BYTE), "cut to whole numbers"),
    "positive scores": (Foreign(1, [node("Relu", "scores", "y")], ONE), "made by Relu"),
    "exponent": (Foreign(1, [node("Exp", "scores", "y")], ONE), "made by Exp"),
    "scores with a floor": (
        Foreign(1, [node("Clip", "scores one full", "y")], ONE, constants=NUMBERS),
        "cut or quantised",
    ),
    "ids resized linearly": (
        many(
            node("ArgMax", "scores", "ids", axis=1),
            node("Cast", "ids", "f", to=FLOAT),
            node("Resize", "f nowhere twice", "y", mode="linear"),
            out=ONE,
            shrink=2,
        ),
        "resizes class ids linearly",
    ),
    "ids times ten": (
        many(ARGMAX, node("Cast", "ids", "f", to=FLOAT), node("Mul", "f full", "y"), out=FLAT),
        "class ids times 255",
    ),
    "a mask for each class": (
        many(node("Sigmoid", "scores", "p"), node("Greater", "p half", "y"), kind=BOOL),
        "may overlap",
    ),
    "softmax over rows": (many(node("Softmax", "scores", "y", axis=2)), "over 24 values and not over its 5"),
    "flattened": (many(node("Reshape", "scores rows", "y"), out=[1, 5, H * W]), "lists objects"),
    "prototypes": (
        many(
            node("Identity", "scores", "y"),
            node("Reshape", "scores rows", "boxes"),
            more=[("boxes", FLOAT, [1, 5, 960])],
        ),
        "prototypes or masks of objects",
    ),
    "colours": (
        many(ARGMAX, node("Gather", "palette ids", "y", axis=0), out=[1, H, W, 3], kind=BYTE),
        "uint8 values made by Gather",
    ),
    "a label for the picture": (
        many(node("GlobalAveragePool", "scores", "y"), out=[1, 5, 1, 1]),
        "no map of the picture",
    ),
    "a greater picture": (
        many(node("Resize", "scores nowhere twice", "y", mode="linear"), out=[1, 5, 2 * H, 2 * W]),
        "no map of the picture",
    ),
    "a YOLO for objects": (many(node("Identity", "scores", "y"), metadata=names_of("segment")), "task 'segment'"),
    "300 channels": (Foreign(300, [node("Identity", "scores", "y")], [1, 300, H, W]), "at most 255 classes"),
    "its own input": (many(node("Identity", "image", "y"), out=[1, 3, H, W]), "nothing computes it"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_for_certain_is_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    model, said = REFUSED[name]
    with pytest.raises(ModelError, match=said) as caught:
        draft(model, tmp_path)
    assert "\n" not in str(caught.value)


def test_several_outputs_are_listed_and_the_choice_is_marked_as_guessed(tmp_path: Path) -> None:
    model = many(node("Identity", "scores", "y"), node("Mul", "scores half", "z"), more=[("z", FLOAT, MANY)])
    path, drafted = draft(model, tmp_path)
    assert drafted.spec.tensors.output == "y"
    assert "tensors.output" in drafted.spec.guessed
    assert len(drafted.others) == 1
    assert "z float32" in drafted.others[0]
    named = draft_spec(inspect_onnx(path), output="z").spec
    assert named.tensors.output == "z"
    assert "tensors.output" not in named.guessed


def test_class_names_that_ultralytics_wrote_are_taken(tmp_path: Path) -> None:
    _, drafted = draft(many(node("Identity", "scores", "y"), metadata=names_of("semantic")), tmp_path)
    assert drafted.spec.classes.names == ("road", "car", "tree", "sky", "pole")
    assert "classes" not in drafted.spec.guessed


BY_HAND: dict[str, tuple[Foreign, Callable[[dict[str, Any]], Any], str]] = {
    "0 and 255 as ids": (
        BEHIND_A_SIGMOID["greater, 0 and 255"],
        lambda t: t.update(gives="class_map"),
        "threshold 127.5",
    ),
    "shares as ids": (BEHIND_A_SIGMOID["identity"], lambda t: t.update(gives="class_map"), "whole numbers"),
    "ids as scores": (OF_MANY["argmax"], lambda t: t.update(gives="logits"), "for its spec's 5 classes"),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_spec_by_hand_that_reads_an_output_wrongly_is_refused_at_the_first_frame(tmp_path: Path, name: str) -> None:
    model, change, said = BY_HAND[name]
    path, drafted = draft(model, tmp_path)
    tensors = asdict(drafted.spec.tensors) | {"threshold": None}
    change(tensors)
    wrong = replace(drafted, spec=replace(drafted.spec, tensors=Tensors(**tensors)))
    with pytest.raises(ModelError, match=said):
        class_map(path, wrong, picture())


def test_ids_beyond_the_spec_s_classes_are_refused(tmp_path: Path) -> None:
    path, drafted = draft(OF_MANY["argmax"], tmp_path)
    few = replace(drafted.spec, classes=ClassMap(("a", "b"), ((1, 1, 1), (2, 2, 2))))
    with pytest.raises(ModelError, match="ids below 2"):
        class_map(path, replace(drafted, spec=few), picture())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda nodes: nodes[-1].input.__setitem__(0, "y"), "a circle of operators"),
        (lambda nodes: nodes[-1].ClearField("input"), "damaged"),
        (lambda nodes: nodes[-1].__setattr__("op_type", "TopK"), "damaged"),
    ],
)
def test_a_damaged_graph_is_refused_and_ends(tmp_path: Path, change: Callable[[Any], None], said: str) -> None:
    path = BEHIND_A_SIGMOID["identity"].write(tmp_path / "foreign.onnx")
    model = onnx.load(str(path))
    change(model.graph.node)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=said):
        draft_spec(inspect_onnx(path))


def test_names_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    path = BEHIND_A_SIGMOID["identity"].write(tmp_path / "foreign.onnx")
    path.write_bytes(path.read_bytes().replace(b"Sigmoid", b"Sigmo\xffd"))
    with pytest.raises(ModelError, match=r"foreign\.onnx: ") as caught:
        draft_spec(inspect_onnx(path))
    assert "\n" not in str(caught.value)
