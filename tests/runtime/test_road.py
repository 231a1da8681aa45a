import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import edgeseg.runtime
from edgeseg.core.errors import UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.core.labels import ClassMap
from edgeseg.core.spec import ModelSpec
from edgeseg.runtime.road import FREE_TO_THE_TOP, NOT_SEEN, RoadReport, majority
from edgeseg.runtime.road_settings import RoadSettings

WriteModel = Callable[..., Path]
CLASSES = ClassMap(("sky", "road", "car"), ((0, 0, 255), (0, 255, 0), (255, 0, 0)))
CAMERA = Size(40, 60)  # ten pixels of the camera to one of the class map
SKY, ROAD, CAR, VOID = 0, 1, 2, 255
MASK = np.array(
    [
        [SKY, SKY, ROAD, SKY, SKY, VOID],
        [SKY, CAR, ROAD, SKY, SKY, VOID],
        [ROAD, ROAD, ROAD, CAR, SKY, ROAD],
        [ROAD, ROAD, ROAD, ROAD, CAR, ROAD],
    ],
    np.uint8,
)


@pytest.fixture
def spec(colour_spec: ModelSpec) -> ModelSpec:
    return replace(colour_spec, classes=CLASSES, input_size=Size(4, 6))


def report(spec: ModelSpec, **settings: object) -> RoadReport:
    return RoadReport(RoadSettings(**settings), spec, CAMERA, CAMERA)  # type: ignore[arg-type]


def drawn_bonnet(path: Path, rows: int, size: Size = CAMERA) -> str:
    picture = np.zeros(size, np.uint8)
    picture[size.height - rows :] = 255
    cv2.imwrite(str(path), picture)
    return str(path)


def test_shares_boundary_and_flicker_by_hand(spec: ModelSpec) -> None:
    judge = report(spec)
    given, first = judge.add(MASK, 0.0)
    assert given is MASK
    assert first.shares == pytest.approx({"sky": 8 / 24, "road": 11 / 24, "car": 3 / 24, "ignore": 2 / 24})
    assert first.boundary.tolist() == [1, 1, FREE_TO_THE_TOP, 2, 3, 1]
    assert first.flicker is None
    changed = MASK.copy()
    changed[0, :3] = CAR
    _, second = judge.add(changed, 0.1)
    assert second.flicker == pytest.approx(3 / 24)
    assert second.boundary[2] == 0
    assert judge.add(changed, 0.2)[1].flicker == 0.0
    json.dumps(second.to_dict())


def test_an_engine_may_use_its_output_again(spec: ModelSpec) -> None:
    judge, output = report(spec, smooth=3), MASK.copy()
    judge.add(output, 0.0)
    output[:] = CAR
    _, second = judge.add(output, 0.1)
    assert second.flicker == 1.0 - 3 / 24


def test_a_region_in_camera_pixels_bounds_shares_and_flicker_not_the_boundary(spec: ModelSpec) -> None:
    judge = report(spec, region="0,20,30,20")
    _, result = judge.add(MASK, 0.0)
    assert result.shares["road"] == 1.0
    assert result.boundary.tolist() == [1, 1, FREE_TO_THE_TOP, 2, 3, 1]
    changed = MASK.copy()
    changed[:2] = CAR
    changed[3, 0] = CAR
    assert judge.add(changed, 0.1)[1].flicker == pytest.approx(1 / 6)


def test_the_bonnet_is_looked_through_and_never_counted(spec: ModelSpec, tmp_path: Path) -> None:
    for size in (CAMERA, Size(400, 600)):  # a drawing of any size of the same aspect
        judge = report(spec, bonnet=drawn_bonnet(tmp_path / "b.png", size.height // 4, size))
        _, result = judge.add(MASK, 0.0)
        assert result.boundary[4] == 2
        assert result.shares["car"] == pytest.approx(2 / 18)
        changed = MASK.copy()
        changed[3] = SKY
        assert judge.add(changed, 0.1)[1].flicker == 0.0


def test_columns_that_the_network_never_saw_say_so(spec: ModelSpec) -> None:
    """A square picture padded onto 6x4 leaves a column free at each side."""
    judge = RoadReport(RoadSettings(), replace(spec, fit="pad"), Size(40, 40), Size(40, 40))
    _, result = judge.add(MASK, 0.0)
    assert result.boundary.tolist() == [NOT_SEEN, 1, FREE_TO_THE_TOP, 2, 3, NOT_SEEN]
    assert sum(result.shares.values()) == pytest.approx(1.0)
    assert result.shares["ignore"] == 0.0


def test_a_crop_of_the_model_moves_the_region_with_it(spec: ModelSpec) -> None:
    cropped = replace(spec, crop=Crop(0.0, 0.5, 1.0, 0.5))
    _, result = report(cropped, region="0,20,60,10").add(MASK, 0.0)  # the upper half of what the network sees
    assert result.shares == pytest.approx({"sky": 7 / 12, "road": 2 / 12, "car": 1 / 12, "ignore": 2 / 12})
    with pytest.raises(UsageError, match="no pixel"):
        report(cropped, region="0,0,60,20")


def test_smoothing_outvotes_a_mask_that_flickers_and_forgets_after_a_gap(spec: ModelSpec) -> None:
    judge, odd = report(spec, smooth=3), np.full_like(MASK, CAR)
    judge.add(MASK, 0.0)
    judge.add(MASK, 0.1)
    smoothed, result = judge.add(odd, 0.2)
    np.testing.assert_array_equal(smoothed, MASK)
    assert result.flicker == 0.0
    np.testing.assert_array_equal(judge.add(odd, 0.3)[0], odd)
    np.testing.assert_array_equal(judge.add(MASK, 5.0)[0], MASK)


@given(
    masks=st.lists(
        st.lists(st.sampled_from([0, 1, 2, 255]), min_size=6, max_size=6).map(lambda row: np.array([row], np.uint8)),
        min_size=1,
        max_size=9,
    )
)
def test_the_majority_is_each_pixel_s_most_frequent_class_the_newest_of_equals(masks: list[NDArray[np.uint8]]) -> None:
    result = majority(masks)
    for column in range(6):
        votes = [int(mask[0, column]) for mask in masks]
        counts = Counter(votes)
        winner = max(votes, key=lambda vote: (counts[vote], -votes.index(vote)))
        assert result[0, column] == winner


@given(seed=st.integers(0, 2**32 - 1), road_share=st.floats(0, 1))
def test_the_boundary_is_what_walking_up_each_column_finds(seed: int, road_share: float) -> None:
    from tests.helpers.colour_model import COLOUR_SPEC

    random = np.random.default_rng(seed)
    spec = replace(COLOUR_SPEC, classes=CLASSES, input_size=Size(7, 9))
    mask = np.where(random.random((7, 9)) < road_share, ROAD, CAR).astype(np.uint8)
    _, result = RoadReport(RoadSettings(), spec, Size(70, 90), Size(70, 90)).add(mask, 0.0)
    for column, row in enumerate(result.boundary):
        assert (mask[row + 1 :, column] == ROAD).all()
        assert row == FREE_TO_THE_TOP or mask[row, column] != ROAD


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"class_name": "raod"}, "did you mean road"),
        ({"region": "0,0,99,99"}, "outside the picture"),
        ({"region": "here"}, "expected X,Y,W,H"),
        ({"bonnet": "/none.png"}, "no readable picture"),
        ({"smooth": 0}, "from 1 to 9"),
        ({"smooth": 99}, "from 1 to 9"),
    ],
)
def test_settings_that_make_no_sense_are_refused(spec: ModelSpec, settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        report(spec, **settings)


def test_a_bonnet_of_another_aspect_or_over_everything_is_refused(spec: ModelSpec, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="same aspect"):
        report(spec, bonnet=drawn_bonnet(tmp_path / "b.png", 1, Size(40, 50)))
    with pytest.raises(UsageError, match="no pixel"):
        report(spec, bonnet=drawn_bonnet(tmp_path / "b.png", 40))


def test_the_command_and_the_api_report_the_road(video: Path, write_model: WriteModel, tmp_path: Path) -> None:
    model, stats = write_model(), tmp_path / "s.jsonl"
    command = [sys.executable, "-m", "edgeseg.runtime", str(video), "--every-frame", "--model", str(model), "--quiet"]
    options = ["--report", "road", "--road-class-name", "red", "--stats", str(stats), "--road-smooth", "3"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line)["road"] for line in stats.read_text().splitlines()]
    assert len(lines) == 30
    assert lines[0]["flicker"] is None
    for line in lines:  # blue, green and red stand side by side
        assert line["shares"]["red"] == pytest.approx(1 / 3, abs=0.03)
        assert (line["boundary"][0], line["boundary"][55]) == (31, FREE_TO_THE_TOP)
    settings = edgeseg.runtime.RoadSettings(class_name="blue")
    result = next(edgeseg.runtime.stream(str(video), model, road=settings, every_frame=True))
    assert result.road is not None
    assert result.road.boundary[0] == FREE_TO_THE_TOP
    wrong = subprocess.run([*command, "--road-smooth", "3"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "without --report road" in wrong.stderr
