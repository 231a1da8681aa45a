"""report.html: complete, alone, safe whatever the classes are called; and drawn again for a run that was killed."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from edgeseg.commands.main import cli
from edgeseg.core.errors import DataError, EdgesegError, ModelError, UsageError
from edgeseg.core.geometry import Placement, Size, place
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.data.base import Image, Mask
from edgeseg.evaluation.evaluate import evaluate
from edgeseg.evaluation.predictors import Predictor
from edgeseg.evaluation.report import write_evaluation_report
from edgeseg.models.build import build_model
from edgeseg.training.run_directory import Epoch, RunDirectory
from tests.helpers.training import ArraySample, tiny_settings, write_camvid

VOID_TAGS = ("meta", "img")
AWKWARD = ClassMap(
    ("<b>bold</b>", "$x_1$ & co", "_hidden", '"quoted"'), ((9, 9, 9), (240, 0, 0), (0, 240, 0), (0, 0, 9))
)


class Reader(HTMLParser):
    """Collects a page's text, pictures and attributes; refuses tags that do not match."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self.pictures: list[Image] = []
        self.feed(page.read_text())
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID_TAGS:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on")
            assert "//" not in (value or "") or tag == "img"
            if name == "src":
                kind, _, encoded = (value or "").partition(";base64,")
                assert kind in ("data:image/png", "data:image/jpeg")
                picture = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)
                assert picture is not None
                self.pictures.append(np.asarray(picture, np.uint8))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if not self.open or self.open[-1] != "style" else ""


class Answer(Predictor):
    """Knows one answer."""

    def __init__(self, class_map: Mask) -> None:
        size = Size(*class_map.shape)
        self.spec = ModelSpec("an<swer", "unet", "unet", size, "bgr", (0, 0, 0), (1, 1, 1), AWKWARD)
        self.class_map = class_map

    def placement(self, picture: Size) -> Placement:
        return place(picture, self.spec.input_size)

    def predict(self, images: Sequence[Image]) -> list[Mask]:
        return [self.class_map] * len(images)


def test_an_evaluation_s_page_is_complete_alone_and_escaped(tmp_path: Path) -> None:
    answer = np.zeros((24, 40), np.uint8)
    answer[:, 20:] = 1
    worse = answer.copy()
    worse[:12] = 2
    image = np.full((24, 40, 3), 200, np.uint8)
    void = np.full_like(answer, 255)
    samples = [
        ArraySample(image, mask, AWKWARD, name=name)
        for name, mask in (("good.png", answer), ("d/<worse>.png", worse), ("void.png", void))
    ]
    predictor = Answer(answer)
    scores = evaluate(predictor, samples, AWKWARD, boundaries=True)
    assert [each.name for each in scores.worst(9)] == ["d/<worse>.png", "good.png"]
    write_evaluation_report(tmp_path / "out", predictor, scores, samples, [("model", "a&b")])
    page = Reader(tmp_path / "out" / "report.html")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "confusion.png", "worst.png"}
    for text in (*AWKWARD.names, "an<swer", "d/<worse>.png", "a&b", f"{scores.miou:.3f}", f"{scores.boundary_f1:.3f}"):
        assert text in page.text
    assert not {"worse", "script", "link", "swer"} & set(page.tags)
    assert "<b>bold" not in (tmp_path / "out" / "report.html").read_text()
    assert len(page.pictures) == 2
    assert all(picture.std() > 10 for picture in page.pictures)
    wrong = np.all(np.abs(page.pictures[1].astype(int) - (40, 40, 255)) < 40, axis=2)
    assert wrong.mean() > 0.02  # the wrong half of the worst picture is red


def written_run(path: Path, camvid: Path) -> RunDirectory:
    """Return a run as a kill after its only epoch leaves it: a model, its spec and history, nothing drawn."""
    run = RunDirectory(path)
    settings, dataset = tiny_settings(camvid, epochs=7), open_dataset(f"camvid:{camvid}")
    spec = ModelSpec("tiny", "unet", "unet", Size(16, 24), "bgr", (0, 0, 0), (0.01, 0.01, 0.01), dataset.classes)
    run.begin(settings, spec)
    build_model("unet", spec.input_size, len(dataset.classes), width=0.0625).save(run.model)
    run.write_history([Epoch(1, 2, 1.5, 0.25, 0.5, 1e-3, 1.0)])
    return run


def report(run: Path) -> Result:
    return CliRunner().invoke(cli, ["report", str(run)], standalone_mode=False)


def test_a_killed_run_is_drawn_again(tmp_path: Path) -> None:
    run = written_run(tmp_path / "run", write_camvid(tmp_path / "camvid"))
    assert report(run.path).exception is None
    for path in (run.curves, run.confusion, run.preview, run.worst):
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 10
    page = Reader(run.report)
    assert len(page.pictures) == 4
    for text in ("Bicyclist", "share in val", "learning_rate", "brightness"):
        assert text in page.text
    assert "share in train" not in page.text  # it was not kept
    assert re.search(r"epochs\s*7", page.text)


def test_what_a_run_kept_is_shown_not_measured_again(tmp_path: Path) -> None:
    camvid = write_camvid(tmp_path / "camvid")
    run = written_run(tmp_path / "run", camvid)
    dataset = open_dataset(f"camvid:{camvid}")
    classes = dataset.classes
    answer = np.full((16, 24), 3, np.uint8)
    predictor = Answer(answer)
    predictor.spec = ModelSpec.read(run.spec)
    scores = evaluate(predictor, dataset.split("val"), classes)
    run.write_scores(scores, np.arange(11) / 55)
    kept = run.read_scores()
    assert kept is not None
    assert kept[0] == scores
    np.testing.assert_allclose(kept[1], np.arange(11) / 55)
    assert report(run.path).exception is None
    page = Reader(run.report)
    assert f"mean IoU {scores.miou:.3f} on val" in page.text
    assert "share in train" in page.text
    assert "18.18%" in page.text  # 10 / 55


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        ("config.toml", UsageError, "holds no run"),
        ("history.csv", ModelError, "no epoch in its history"),
        ("model.keras", ModelError, "no model.keras"),
        ("data", DataError, "no such folder"),
        ("scores", EdgesegError, "not the scores of a run"),
    ],
)
def test_a_run_that_cannot_be_drawn_is_one_line(
    damage: str, kind: type[EdgesegError], said: str, tmp_path: Path
) -> None:
    camvid = write_camvid(tmp_path / "camvid", train=1, val=1)
    run = written_run(tmp_path / "run", camvid)
    if damage == "data":
        camvid.rename(tmp_path / "elsewhere")
    elif damage == "scores":
        run.scores.write_text(json.dumps({"miou": 1}))
    else:
        (run.path / damage).unlink()
    error = report(run.path).exception
    assert isinstance(error, kind)
    assert said in str(error)
    assert "\n" not in str(error)
    assert not run.report.exists()
