"""`edgeseg inspect --as NAME`: on small random graphs of each layout, masks as the project's own code makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from edgeseg.commands.inspect import RECIPES as NAMES
from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.spec import ModelSpec
from edgeseg.data.reading.cityscapes_labels import TRAIN
from edgeseg.export.foreign.recipes import RECIPES
from edgeseg.runtime.engines.choose import open_engine
from tests.helpers.foreign_graphs import BYTE, FLOAT, INT64, MEAN, SIZE, STD, Foreign, node, picture

H, W = SIZE
CITY_MEAN = np.array([0.3257, 0.3690, 0.3223], np.float32) * 255
CITY_STD = np.array([0.2112, 0.2148, 0.2115], np.float32) * 255
UP = {"nowhere": np.array([], np.float32), "up": np.array([1, 1, 4, 4], np.float32)}
CITYSCAPES = [name.replace(" ", "_") for name in TRAIN.names]


def spec_of(path: Path, recipe: str, *options: object) -> tuple[ModelSpec, str]:
    spec = path.with_name(f"{path.name}.spec.json")
    arguments = ["inspect", path, "--as", recipe, "--write-spec", spec, *options]
    done = CliRunner().invoke(cli, [str(each) for each in arguments])
    assert done.exit_code == 0, done.output
    return ModelSpec.read(spec), done.output


def masks_are(path: Path, scores: NDArray[np.float32], frame: NDArray[np.uint8], least: float = 0.9) -> None:
    with open_engine(path, "onnxruntime-cpu") as engine:
        given = np.array(engine.run(frame).class_map)
    best = np.sort(scores, axis=0)
    clear = best[-1] - best[-2] > 2e-2
    assert clear.mean() > least
    np.testing.assert_array_equal(given[clear], scores.argmax(0)[clear])


def names(spec: ModelSpec) -> list[str]:
    return [name.replace(" ", "_") for name in spec.classes.names]


def interpolated(planes: NDArray[np.float32], align_corners: bool) -> NDArray[np.float32]:
    """PyTorch's F.interpolate(mode="bilinear"), one axis after the other by np.interp."""
    for axis, length in ((1, H), (2, W)):
        old = planes.shape[axis]
        at = np.linspace(0, old - 1, length) if align_corners else (np.arange(length) + 0.5) * old / length - 0.5
        lines = [np.interp(at, np.arange(old), line) for line in np.moveaxis(planes, axis, -1).reshape(-1, old)]
        shape = [n for index, n in enumerate(planes.shape) if index != axis]
        planes = np.moveaxis(np.reshape(lines, (*shape, length)), -1, axis).astype(np.float32)
    return planes


def test_every_recipe_can_be_named_and_says_where_it_is_from() -> None:
    assert sorted(RECIPES) == sorted(NAMES)
    for recipe in RECIPES.values():
        assert "https://" in recipe.source
        assert recipe.licence


def test_yolo_semantic_with_the_argmax_in_its_graph(tmp_path: Path) -> None:
    tail = [
        node("Resize", "scores nowhere up", "wide", mode="linear"),
        node("ArgMax", "wide", "ids", axis=1, keepdims=0),
        node("Cast", "ids", "output0", to=BYTE),
    ]
    wrote = {"author": "Ultralytics", "task": "semantic", "names": str(dict(enumerate(CITYSCAPES)))}
    model = Foreign(19, tail, [1, H, W], BYTE, constants=UP, shrink=4, metadata=wrote, names=("images", "output0"))
    path = model.write(tmp_path / "yolo26n-sem.onnx")
    spec, said = spec_of(path, "yolo-semantic")
    assert names(spec) == CITYSCAPES
    assert spec.guessed == ()
    assert "AGPL-3.0" in said
    frame = picture()
    masks_are(path, interpolated(model.scores(frame, 0, 255), align_corners=False), frame, 0.8)


def test_yolo_semantic_s_letterbox(tmp_path: Path) -> None:
    model = Foreign(19, [node("Identity", "scores", "output0")], [1, 19, H, W], names=("images", "output0"))
    path = model.write(tmp_path / "yolo26n-sem.onnx")
    spec, _ = spec_of(path, "yolo-semantic", "--camera-size", "40x16")
    assert (spec.fit, spec.tensors.padding) == ("pad", 114)
    frame = picture()[4:20]
    padded = np.full((*SIZE, 3), 114, np.uint8)
    padded[4:20] = frame
    masks_are(path, model.scores(padded, 0, 255), np.ascontiguousarray(frame))


@pytest.mark.parametrize("outputs", [1, 3])
def test_pidnet(tmp_path: Path, outputs: int) -> None:
    tail = [node("Identity", "scores", "y")]
    more = []
    if outputs == 3:  # of its training: the P branch's, the main one, the boundary's
        tail += [node("Neg", "scores", "p"), node("ReduceMean", "scores", "d", axes=[1])]
        more = [("y", FLOAT, [1, 19, 3, 5]), ("d", FLOAT, [1, 1, 3, 5])]
    first = "p" if outputs == 3 else "y"
    model = Foreign(19, tail, [1, 19, 3, 5], shrink=8, names=("input", first), more=more)
    path = model.write(tmp_path / "pidnet_s.onnx")
    spec, said = spec_of(path, "pidnet")
    assert spec.tensors.output == "y"
    assert spec.guessed == ()
    assert "MIT" in said
    frame = picture()
    masks_are(path, interpolated(model.scores(frame), align_corners=True), frame)


def test_pidnet_s_camvid_has_its_own_order_of_classes(tmp_path: Path) -> None:
    path = Foreign(11, [node("Identity", "scores", "y")], [1, 11, 3, 5], shrink=8).write(tmp_path / "pidnet.onnx")
    spec, _ = spec_of(path, "pidnet")
    assert (spec.classes.names[6], spec.classes.colours[6]) == ("Road", (128, 64, 128))


@pytest.mark.parametrize(
    ("recipe", "mean", "std", "io"),
    [("ddrnet", MEAN, STD, ("inputx", "outputy")), ("bisenetv2", CITY_MEAN, CITY_STD, ("input_image", "preds"))],
)
def test_ddrnet_and_bisenetv2_with_the_argmax_in_their_graphs(
    tmp_path: Path, recipe: str, mean: NDArray[np.float32], std: NDArray[np.float32], io: tuple[str, str]
) -> None:
    tail = [
        node("Resize", "scores nowhere up", "wide", mode="linear"),
        node("ArgMax", "wide", io[1], axis=1, keepdims=0),
    ]
    model = Foreign(19, tail, [1, H, W], INT64, constants=UP, shrink=4, names=io)
    path = model.write(tmp_path / f"{recipe}.onnx")
    spec, said = spec_of(path, recipe)
    assert names(spec) == CITYSCAPES
    assert spec.guessed == ()
    assert "MIT" in said
    frame = picture()
    masks_are(path, interpolated(model.scores(frame, mean, std), align_corners=False), frame, 0.8)


def test_segformer_at_a_quarter_of_the_size_which_the_file_leaves_free(tmp_path: Path) -> None:
    model = Foreign(
        19,
        [node("Identity", "scores", "logits")],
        [1, 19, "height/4", "width/4"],
        shrink=4,
        free=True,
        names=("pixel_values", "logits"),
    )
    path = model.write(tmp_path / "segformer.onnx")
    spec, said = spec_of(path, "segformer", "--size", SIZE)
    assert names(spec) == CITYSCAPES
    assert spec.guessed == ()
    assert "not for commercial use" in said
    frame = picture()
    masks_are(path, interpolated(model.scores(frame), align_corners=False), frame)


def test_segformer_with_other_classes_has_them_marked(tmp_path: Path) -> None:
    tail, io = [node("Identity", "scores", "logits")], ("pixel_values", "logits")
    path = Foreign(150, tail, [1, 150, 6, 10], shrink=4, names=io).write(tmp_path / "ade.onnx")
    spec, said = spec_of(path, "segformer")
    assert spec.guessed == ("classes",)
    assert "nobody has confirmed its classes" in said


def test_torchvision_takes_out_and_not_aux(tmp_path: Path) -> None:
    tail = [node("Identity", "scores", "out"), node("Neg", "scores", "aux")]
    shape = [1, 21, H, W]
    model = Foreign(21, tail, shape, names=("input", "out"), more=[("aux", FLOAT, shape)])
    path = model.write(tmp_path / "fcn_resnet50.onnx")
    spec, said = spec_of(path, "torchvision")
    assert (spec.tensors.output, spec.classes.names[15], spec.guessed) == ("out", "person", ())
    assert spec.classes.colours[15] == (192, 128, 128)  # PASCAL VOC's own
    assert "BSD-3-Clause" in said
    frame = picture()
    masks_are(path, model.scores(frame), frame)


@pytest.mark.parametrize(("output", "sign", "name"), [(None, 1, "drivable area"), ("ll", -1, "lane line")])
def test_twinlitenet_has_two_masks(tmp_path: Path, output: str | None, sign: int, name: str) -> None:
    tail = [node("Identity", "scores", "da"), node("Neg", "scores", "turned"), node("Add", "turned turned", "ll")]
    shape = [1, 2, H, W]
    model = Foreign(2, tail, shape, names=("images", "da"), more=[("ll", FLOAT, shape)])
    path = model.write(tmp_path / "twinlitenet.onnx")
    spec, said = spec_of(path, "twinlitenet", *(["--output", output] if output else []))
    assert spec.classes.names == ("rest", name)
    assert spec.guessed == ()
    assert "--output ll" in said
    frame = picture()
    masks_are(path, sign * model.scores(frame, 0, 255), frame)


def test_a_file_that_is_none_of_the_recipe_s_is_refused(tmp_path: Path) -> None:
    path = Foreign(19, [node("Identity", "scores", "y")], [1, 19, H, W], layout="nhwc").write(tmp_path / "keras.onnx")
    done = CliRunner().invoke(
        cli, ["inspect", str(path), "--as", "pidnet", "--write-spec", str(tmp_path / "spec.json")]
    )
    assert isinstance(done.exception, ModelError)
    assert "as PIDNet does" in str(done.exception)
    assert not (tmp_path / "spec.json").exists()


def test_options_of_a_draft_want_a_file_to_write(tmp_path: Path) -> None:
    path = Foreign(19, [node("Identity", "scores", "y")], [1, 19, H, W]).write(tmp_path / "foreign.onnx")
    done = CliRunner().invoke(cli, ["inspect", str(path), "--as", "pidnet"])
    assert isinstance(done.exception, UsageError)
    assert "--write-spec FILE" in str(done.exception)
