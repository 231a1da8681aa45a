"""The model card: its figures are of this model, with split and interval, and no text leaves its cell."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.metrics import ConfusionMatrix, Scores
from edgeseg.evaluation.intervals import Units, with_intervals
from edgeseg.export.card_figures import Figures, Measured, read_figures
from edgeseg.export.model_card import model_card
from tests.helpers.colour_model import COLOUR_SPEC

SPEC = replace(COLOUR_SPEC, trained_on="folder:/data", metrics={"miou": 0.4})
TRAINED, WRITTEN = "a" * 64, "b" * 64


def scores(pictures: int = 12) -> Scores:
    random = np.random.default_rng(0)
    matrix = ConfusionMatrix(SPEC.classes, by_picture=True)
    for number in range(pictures):
        truth = random.integers(2, size=(8, 8)).astype(np.uint8)  # the third class does not occur
        matrix.add(truth, np.where(random.random((8, 8)) < 0.7, truth, 1 - truth).astype(np.uint8), str(number))
    return matrix.scores()


def written(path: Path, sha256: str = TRAINED, **about: str) -> Path:
    found = with_intervals(scores(), Units.of([str(number) for number in range(12)], "pictures"))
    about = {"model": "run", "sha256": sha256, "data": "folder:/data", "split": "test", **about}
    path.write_text(json.dumps({**asdict(found), "about": about}))
    return path


def test_a_card_has_figures_with_split_and_interval(tmp_path: Path) -> None:
    figures = read_figures(written(tmp_path / "s.json"), SPEC, TRAINED, WRITTEN)
    low, high = figures.scores.intervals.miou if figures.scores.intervals else (0, 0)
    card = model_card("net.onnx", WRITTEN, SPEC, [figures], ["99.99 % of the pixels"])
    assert f"Model card of `net.onnx`, SHA-256 `{WRITTEN}`." in card
    row = f"| test | folder:/data | 12 | {figures.scores.miou:.4f} | [{low:.3f}, {high:.3f}] |"
    assert row in card
    assert "95 % intervals over 12 pictures" in card
    assert "of the trained model, before its export" in card
    assert "| 2 | red | does not occur | - |" in card
    assert "- 99.99 % of the pixels" in card
    of_file = read_figures(written(tmp_path / "s.json", WRITTEN), SPEC, TRAINED, WRITTEN)
    assert "of this file" in model_card("net.onnx", WRITTEN, SPEC, [of_file], [])


def test_figures_of_another_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of another model"):
        read_figures(written(tmp_path / "s.json", "c" * 64), SPEC, TRAINED, WRITTEN)
    other = replace(SPEC, classes=replace(SPEC.classes, names=("a", "b", "c")))
    with pytest.raises(UsageError, match="of other classes, blue, green, red; expected a, b, c"):
        read_figures(written(tmp_path / "s.json"), other, TRAINED, WRITTEN)
    (tmp_path / "s.json").write_text(json.dumps(asdict(scores())))
    with pytest.raises(UsageError, match="does not say what was measured"):
        read_figures(tmp_path / "s.json", SPEC, TRAINED, WRITTEN)
    figures = read_figures(written(tmp_path / "s.json", WRITTEN), SPEC, TRAINED, WRITTEN)
    measured = Measured([figures], [tmp_path / "s.json"], TRAINED)
    measured.check_written(WRITTEN)
    with pytest.raises(UsageError, match="which is another now"):
        measured.check_written("d" * 64)


def test_without_figures_it_says_what_the_training_reached() -> None:
    assert "val split: miou 0.4. No interval is known." in model_card("net.onnx", WRITTEN, SPEC, [], [])
    assert "Not measured, as far as the file says." in model_card("n", WRITTEN, replace(SPEC, metrics={}), [], [])


def test_the_trainings_own_figures_are_the_default_and_said_to_flatter(tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(b"weights")
    assert Measured.of(tmp_path / "model.keras", tmp_path / "net.onnx", SPEC, ()).figures == []
    (tmp_path / "scores.json").write_text(json.dumps(asdict(scores())))
    (figures,) = Measured.of(tmp_path / "model.keras", tmp_path / "net.onnx", SPEC, ()).figures
    assert (figures.split, figures.data) == ("val", "folder:/data")
    assert figures.scores.intervals is not None  # over pictures: the data are gone
    assert "they flatter" in model_card("net.onnx", WRITTEN, SPEC, [figures], [])


def test_no_text_leaves_its_line_or_its_cell() -> None:
    odd = replace(SPEC, name="a\n# b", trained_on="folder:/x|y\x1b[2J", guessed=("mean",))
    figures = Figures("te|st", "folder:\n/x", scores(), "measured", TRAINED)
    card = model_card("net.onnx", WRITTEN, odd, [figures], ["one\ntwo"])
    assert "\n# b" not in card
    assert "\x1b" not in card
    assert "folder:/x\\|y?[2J" in card
    assert "| te\\|st | folder:?/x |" in card
    assert "Nobody has confirmed: mean." in card
