"""Bootstrap intervals: against a loop, how often they hold the truth, what is said of them; two models compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from edgeseg.commands.main import cli
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.metrics import ConfusionMatrix, Intervals, Scores
from edgeseg.core.spec import ModelSpec
from edgeseg.data.argument import open_dataset
from edgeseg.evaluation.against import compare, read_earlier
from edgeseg.evaluation.intervals import RESAMPLES, Units, describe, difference, draws, with_intervals
from edgeseg.models.build import build_model, seed_weights
from tests.helpers.training import ArraySample, write_camvid

CLASSES = ClassMap(("a", "b", "c", "d", "e"), ((0, 0, 0),) * 5)
Pictures = Sequence[tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def scores_of(pictures: Pictures) -> Scores:
    matrix = ConfusionMatrix(CLASSES, by_picture=True)
    for number, (truth, predicted) in enumerate(pictures):
        matrix.add(truth, predicted, f"val/{number:03}.png")
    return matrix.scores()


def drawn_pictures(
    random: np.random.Generator, drives: int, frames: int, spread: float = 0.1, classes: int = 5
) -> tuple[Pictures, list[str]]:
    """Return pictures and their drives: each drive has a share of right pixels of its own, `spread` apart."""
    pictures, names = [], []
    for drive in range(drives):
        quality = 0.7 + spread * random.standard_normal()
        for _ in range(frames):
            truth = random.integers(0, classes, (20, 30)).astype(np.uint8)
            right = random.random(truth.shape) < quality + 0.02 * random.standard_normal()
            guess = random.integers(0, classes, truth.shape).astype(np.uint8)
            pictures.append((truth, np.where(right, truth, guess)))
            names.append(f"drive{drive}")
    return pictures, names


def found(scores: Scores, units: Units) -> Intervals:
    intervals = with_intervals(scores, units).intervals
    assert intervals
    return intervals


@pytest.mark.parametrize("over", ["drives", "pictures"])
def test_intervals_are_those_of_a_loop_over_the_same_resamples(over: str) -> None:
    """Class e occurs in one drive only, so that some resamples lack it; class d in none."""
    random = np.random.default_rng(3)
    pictures, drives = drawn_pictures(random, 4, 3, classes=3)
    for truth, _ in pictures[:2]:
        truth[:4] = 4
    scores, units = scores_of(pictures), Units.of(drives, over)
    intervals = found(scores, units)
    members = [[index for index, own in enumerate(units.of_picture) if own == unit] for unit in range(units.count)]
    means, of_a = [], []
    for resample in (row for block in draws(units.count) for row in block):
        matrix = ConfusionMatrix(CLASSES)
        for unit in resample:
            for index in members[unit]:
                matrix.add(*pictures[index])
        one = matrix.scores()
        means.append(one.miou)
        of_a.append(one.iou["a"] or 0.0)
    assert len(means) == RESAMPLES == intervals.resamples
    np.testing.assert_allclose(intervals.miou, np.percentile(means, (2.5, 97.5)), rtol=1e-12)
    np.testing.assert_allclose(intervals.iou["a"] or (), np.percentile(of_a, (2.5, 97.5)), rtol=1e-12)
    assert intervals.iou["d"] is None
    assert (intervals.iou["e"] is None) == (over == "drives"), "a class of one drive tells no spread"
    assert (intervals.over, intervals.drives, intervals.pictures) == (over, 4, 12)


def test_one_picture_and_equal_pictures_have_no_width() -> None:
    pictures, _ = drawn_pictures(np.random.default_rng(0), 1, 1)
    one = scores_of(pictures)
    assert found(one, Units.of(["x"])).miou == pytest.approx((one.miou, one.miou), abs=1e-15)
    equal = scores_of([*pictures] * 20)
    intervals = found(equal, Units.of([str(index) for index in range(20)]))
    assert intervals.miou == pytest.approx((one.miou, one.miou), abs=1e-15)
    assert intervals.iou["b"] == pytest.approx((one.iou["b"], one.iou["b"]), abs=1e-15)


def test_the_same_pictures_give_the_same_intervals_and_hold_the_value() -> None:
    pictures, drives = drawn_pictures(np.random.default_rng(1), 20, 2)
    scores = scores_of(pictures)
    intervals = found(scores, Units.of(drives))
    assert intervals == found(scores, Units.of(drives))
    assert intervals.miou[0] < scores.miou < intervals.miou[1]
    assert with_intervals(scores_of([]), Units.of([])).intervals is None


def test_alike_neighbours_make_the_interval_over_drives_the_wider_one() -> None:
    pictures, drives = drawn_pictures(np.random.default_rng(2), 12, 20)
    widths = {}
    for over in ("drives", "pictures"):
        low, high = found(scores_of(pictures), Units.of(drives, over)).miou
        widths[over] = high - low
    assert widths["drives"] > 2.5 * widths["pictures"]


def simulated(random: np.random.Generator, drives: int, frames: int) -> NDArray[np.int64]:
    """Return counts (drives x frames, 3, 5) of drives whose qualities are 0.08 apart, as are those of their frames."""
    quality = 0.75 + 0.08 * random.standard_normal((drives, 1)) + 0.08 * random.standard_normal((drives, frames))
    labelled = random.integers(100, 2000, (drives * frames, 5))
    right = random.binomial(labelled, np.clip(quality, 0.05, 0.99).reshape(-1, 1))
    return np.stack([right, labelled, right + np.roll(labelled - right, 1, axis=1)], axis=1)


def scores_from(counts: NDArray[np.int64]) -> Scores:
    right, labelled, predicted = counts.sum(axis=0)
    blank = scores_of([(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8))])
    rows = [np.column_stack([np.arange(5), *each]).tolist() for each in counts]
    return replace(
        blank,
        miou=float((right / (labelled + predicted - right)).mean()),
        pictures=tuple(replace(blank.pictures[0], counts=tuple(map(tuple, each))) for each in rows),
    )


@pytest.mark.parametrize(
    ("drives", "over", "least", "most"),
    [(20, "drives", 0.90, 0.99), (3, "drives", 0.70, 0.90), (20, "pictures", 0.45, 0.70)],
)
@pytest.mark.usefixtures("patience")
def test_how_often_an_interval_holds_the_truth(drives: int, over: str, least: float, most: float) -> None:
    """200 sets of ten frames a drive: the shares that docs/evaluation.md gives."""
    truth = scores_from(simulated(np.random.default_rng(8), 5000, 10)).miou
    random = np.random.default_rng(9)
    units = Units.of([str(index // 10) for index in range(drives * 10)], over)
    ends = [found(scores_from(simulated(random, drives, 10)), units).miou for _ in range(200)]
    assert least <= np.mean([low <= truth <= high for low, high in ends]) <= most


@pytest.mark.parametrize(
    ("drives", "over", "text"),
    [
        ("ab", "drives", "2 pictures: rough and mostly too narrow, they are fewer than 10"),
        ("aabbb", "drives", "2 drives, 5 pictures: rough and mostly too narrow, they are fewer than 10"),
        ("aabbccddeeffgghhiijj", "drives", "10 drives, 20 pictures"),
        ("abcdefghij", "drives", "10 pictures"),
        ("aabbb", "pictures", "5 pictures of 2 drives: too narrow, neighbours are alike"),
        (
            "aaa",
            "drives",
            "3 pictures of one drive: too narrow, neighbours are alike, and one drive says nothing of others",
        ),
    ],
)
def test_what_is_wrong_with_the_intervals_is_said(drives: str, over: str, text: str) -> None:
    pictures, _ = drawn_pictures(np.random.default_rng(0), 1, len(drives))
    assert describe(found(scores_of(pictures), Units.of(list(drives), over))) == f"95 % intervals over {text}"


def test_scores_are_read_as_they_were_written_now_and_before_there_were_intervals() -> None:
    pictures, drives = drawn_pictures(np.random.default_rng(4), 3, 2, classes=4)
    scores = with_intervals(scores_of(pictures), Units.of(drives))
    document = json.loads(json.dumps(asdict(scores)))
    assert Scores.from_document(document) == scores
    del document["intervals"]
    for picture in document["pictures"]:
        del picture["counts"]
    old = Scores.from_document(document)
    assert old == replace(scores, intervals=None, pictures=tuple(replace(each, counts=()) for each in scores.pictures))
    with pytest.raises(ValueError, match="no counts by picture"):
        old.counts()
    with pytest.raises(KeyError):
        Scores.from_document({"miou": 1, "intervals": None})


def two_models() -> tuple[Scores, Scores, Units]:
    """Return the scores of a model and of one that is right a little more often, on drives that differ much more."""
    random = np.random.default_rng(5)
    pictures, drives = drawn_pictures(random, 15, 4)
    better = [(truth, np.where(random.random(truth.shape) < 0.02, truth, predicted)) for truth, predicted in pictures]
    units = Units.of(drives)
    one, other = (with_intervals(scores_of(each), units) for each in (better, pictures))
    return one, other, units


def test_two_models_are_compared_in_pairs() -> None:
    better, worse, units = two_models()
    assert difference(worse, worse, units) == (0, (0, 0))
    value, (low, high) = difference(better, worse, units)
    assert 0 < low < value < high
    assert better.intervals
    assert worse.intervals
    assert better.intervals.miou[0] < worse.intervals.miou[1], "either interval alone does not tell"
    back, ends = difference(worse, better, units)
    assert (back, *ends) == pytest.approx((-value, -high, -low), abs=1e-12)


def test_a_comparison_is_one_line_that_says_whether_it_tells_anything(tmp_path: Path) -> None:
    better, worse, units = two_models()
    path = tmp_path / "scores.json"
    line = compare(better, path, worse, units)
    assert line.startswith(f"mean IoU {better.miou - worse.miou:+.4f} [+0.0")
    assert line.endswith(f"] against {worse.miou:.4f} of {path}: 0 is not in it")
    assert "+0.0000 [+0.000, +0.000]" in compare(worse, path, worse, units)
    assert "do not tell which is better" in compare(worse, path, worse, units)


def samples_of(scores: Scores, folder: str = "val") -> list[ArraySample]:
    image, mask = np.zeros((1, 1, 3), np.uint8), np.zeros((1, 1), np.uint8)
    return [ArraySample(image, mask, name=f"{folder}/{Path(each.name).name}") for each in scores.pictures]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"miou": ...}, "no scores to compare with"),
        ({"iou": {"a": 1, "b": 1}, "confusion": []}, "no scores to compare with|has the classes a, b"),
        ({"iou": dict.fromkeys("abcdx", 1.0)}, "has the classes a, b, c, d, x, this data a, b, c, d, e"),
        ({"images": 61}, "is of 61 pictures and this evaluation of 60"),
        ({"name": "other.png"}, "is of 60 pictures, other.png among them, and this evaluation of 60"),
        ({"counts": ()}, "no counts by picture"),
        ({"counts": ((9, 1, 1, 1),)}, "no scores to compare with"),
    ],
)
def test_scores_of_something_else_are_refused_in_one_line(damage: dict[str, Any], said: str, tmp_path: Path) -> None:
    scores, _, _ = two_models()
    document = json.loads(json.dumps(asdict(scores)))
    for key, value in damage.items():
        (document["pictures"][3] if key in ("name", "counts") else document)[key] = value
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    with pytest.raises(UsageError, match=said) as caught:
        read_earlier(path, CLASSES, samples_of(scores))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_data_may_lie_elsewhere_but_the_labels_must_be_the_same(tmp_path: Path) -> None:
    scores, _, units = two_models()
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(asdict(scores)))
    earlier = read_earlier(path, CLASSES, samples_of(scores, "/mnt/moved"))
    assert earlier == scores
    pictures, _ = drawn_pictures(np.random.default_rng(6), 15, 4)
    with pytest.raises(UsageError, match=r"labelled pixels of val/000\.png are not those of val/000\.png here"):
        compare(scores_of(pictures), path, earlier, units)
    with pytest.raises(UsageError, match="expected what edgeseg evaluate --json FILE wrote"):
        read_earlier(tmp_path / "missing.json", CLASSES, [])


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Return a folder, and a command for an untrained network on its pictures of three drives."""
    folder = tmp_path_factory.mktemp("intervals")
    camvid = write_camvid(folder / "camvid", train=1, val=6)
    for part in ("val", "valannot"):
        for number in range(6):
            (camvid / part / f"{number:03}.png").rename(camvid / part / f"D{number // 2}_{number:03}.png")
    classes = open_dataset(f"camvid:{camvid}").classes
    run = folder / "run"
    run.mkdir()
    seed_weights(0)
    build_model("unet", Size(16, 24), len(classes), width=0.0625).save(run / "model.keras")
    spec = ModelSpec("test", "unet", "unet", Size(16, 24), "bgr", (0, 0, 0), (1, 1, 1), classes)
    (run / "spec.json").write_text(spec.to_json())
    return folder, ["evaluate", str(run), "--data", f"camvid:{camvid}"]


def call(*command: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, command)], standalone_mode=False)


def test_the_command_shows_intervals_in_its_text_its_scores_and_its_page(evaluated: tuple[Path, list[str]]) -> None:
    folder, command = evaluated
    done = call(*command, "--out", folder / "out")
    assert done.exception is None, done.exception
    scores = Scores.from_document(json.loads((folder / "out" / "scores.json").read_text()))
    assert scores.intervals
    low, high = scores.intervals.miou
    page = (folder / "out" / "report.html").read_text()
    assert f"mean IoU {scores.miou:.4f} [{low:.3f}, {high:.3f}], freq" in done.output
    assert f"mean IoU [{low:.3f}, {high:.3f}]" in page
    for text in (done.output, page):
        assert "95 % intervals over 3 drives, 6 pictures: rough" in text
    over_pictures = call(*command, "--interval-over", "pictures")
    assert "95 % intervals over 6 pictures of 3 drives: too narrow" in over_pictures.output


def test_the_command_compares_two_models(evaluated: tuple[Path, list[str]]) -> None:
    folder, command = evaluated
    assert call(*command, "--json", folder / "a.json").exception is None
    same = call(*command, "--against", folder / "a.json")
    assert "mean IoU +0.0000 [+0.000, +0.000] against" in same.output
    assert "do not tell which is better; rough and mostly too narrow" in same.output
    other = call(*command, "--split", "train", "--against", folder / "a.json")
    assert isinstance(other.exception, UsageError)
    assert "evaluate both models with one --data and --split" in str(other.exception)
    assert "mean IoU" not in other.output, "it is known before the pictures are predicted"
