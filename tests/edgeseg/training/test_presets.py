"""What `edgeseg train` does where it is not told."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from click.testing import CliRunner

import edgeseg.training.start
from edgeseg.commands.main import cli
from edgeseg.core.errors import ModelError, UsageError
from edgeseg.core.geometry import Crop, Size
from edgeseg.data.feeding.augment import Augmentation
from edgeseg.models.options import check_input_size
from edgeseg.training.presets import PRESETS, WEIGHTS, network_size, window_size, with_preset
from edgeseg.training.settings import TrainSettings
from tests.helpers.training import tiny_settings, write_camvid, write_untrained

CAMVID = Size(360, 480)


@pytest.fixture(scope="module")
def camvid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data") / "camvid", train=4, val=2)


@pytest.mark.parametrize(
    ("picture", "network"),
    [
        ("480x360", "480x352"),
        ("960x720", "480x352"),
        ("1280x720", "544x320"),
        ("1242x375", "768x224"),
        ("576x160", "576x160"),
        ("64x48", "64x64"),
        ("20x20", "32x32"),
        ("3000x40", "3008x32"),
    ],
)
def test_the_network_takes_the_pictures_shape(picture: str, network: str) -> None:
    size = network_size(Size.parse(picture))
    assert str(size) == network
    assert size.width * size.height <= 1.05 * 480 * 360


def test_the_shape_is_that_of_the_part_that_is_used() -> None:
    assert network_size(Size(720, 1280), Crop(0, 0.5, 1, 0.5)) == Size(224, 768)


def test_windows_leave_small_sides_whole() -> None:
    assert window_size(Size(352, 480)) == Size(256, 352)
    assert window_size(Size(64, 64)) == Size(64, 64)
    assert window_size(Size(160, 576)) == Size(160, 416)
    assert window_size(Size(280, 264)) == Size(256, 256)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_a_network_that_takes_its_sizes(preset: str) -> None:
    settings = TrainSettings(**with_preset(preset, {}, CAMVID))
    assert settings.steps
    for size in (settings.size, settings.window):
        check_input_size(settings.network(), size)


def test_what_is_given_takes_the_place_of_what_belongs_together() -> None:
    plain = with_preset("balanced", {}, CAMVID)
    assert with_preset("balanced", {"width": 1.0}, CAMVID) == {**plain, "width": 1.0}
    nothing = {"encoder": "auto", "init": "", "minutes": 0.0}
    assert with_preset("balanced", nothing, CAMVID) == plain
    for network in ({"model": "fcn8"}, {"encoder": "vgg16"}, {"model": "fcn8", "weights": "imagenet"}):
        found = with_preset("balanced", network, CAMVID)
        assert {key: found[key] for key in PRESETS["balanced"].network if key in found} == network
    for length in ({"epochs": 3}, {"minutes": 2.0}, {"steps": 5}):
        found = with_preset("balanced", length, CAMVID)
        assert {key: found[key] for key in ("epochs", "minutes", "steps") if key in found} == length
    assert with_preset("balanced", {"size": Size(512, 512)}, None)["train_size"] == Size(384, 384)
    assert with_preset("balanced", {"train_size": Size(64, 64)}, CAMVID)["train_size"] == Size(64, 64)


def test_weights_are_a_choice_beside_the_network() -> None:
    plain = with_preset("balanced", {}, CAMVID)
    assert with_preset("balanced", {"weights": "own.pth"}, CAMVID) == {**plain, "weights": "own.pth"}
    fresh = with_preset("balanced", {"weights": "none"}, CAMVID)
    assert fresh == {**plain, "weights": "none", "steps": PRESETS["scratch"].steps}
    assert with_preset("balanced", {"model": "fcn8"}, CAMVID)["steps"] == PRESETS["scratch"].steps
    assert with_preset("fast", {"model": "fcn8", "weights": "imagenet"}, CAMVID)["steps"] == PRESETS["fast"].steps


@pytest.mark.usefixtures("tensorflow")
def test_without_its_weights_a_preset_says_what_to_install(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr("edgeseg.models.weights_package.metadata.distribution", missing)
    arguments = ["train", "--data", f"camvid:{camvid}", "--out", str(tmp_path / "run"), "--batch", "2"]
    result = CliRunner().invoke(cli, arguments)
    assert isinstance(result.exception, ModelError)
    assert "pip install" in str(result.exception)
    assert "--preset scratch" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_a_run_to_start_from_keeps_its_network(camvid: Path, tmp_path: Path) -> None:
    before = tiny_settings(camvid, model="unet", encoder="compact", width=0.125, score_stride=4)
    run = write_untrained(before, tmp_path / "run")
    settings = TrainSettings(**with_preset("fast", {"init": str(run)}, CAMVID))
    assert settings.network() == before.network()
    with pytest.raises(ModelError, match="cannot be read"):
        with_preset("fast", {"init": str(tmp_path / "none")}, CAMVID)


def settings_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> TrainSettings:
    """Return the settings that a command would train with."""

    class Begun(Exception):  # noqa: N818
        pass

    def begin(settings: TrainSettings, *_: object) -> None:
        raise Begun(settings)

    monkeypatch.setattr(edgeseg.training.start, "start", begin)
    result = CliRunner().invoke(cli, ["train", "--out", "run", *map(str, arguments)])
    if isinstance(result.exception, Begun):
        settings: TrainSettings = result.exception.args[0]
        return settings
    assert result.exception
    raise result.exception


@pytest.mark.usefixtures("tensorflow")
def test_the_command_line_begins_with_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    data = "scenes:train=4,val=2,test=0,size=640x360"
    expected = TrainSettings(data=data, **with_preset("balanced", {}, Size(360, 640)))
    assert settings_of(monkeypatch, "--data", data) == expected
    fast = settings_of(monkeypatch, "--data", data, "--preset", "fast", "--hue", 10, "--crop", "0,0,320,180")
    assert (fast.decoder_width, fast.size, fast.augmentation) == (32, Size(192, 320), Augmentation(hue=10))
    assert fast.crop is not None
    assert list(fast.crop) == [0, 0, 0.5, 0.5]
    own = settings_of(monkeypatch, "--data", data, "--model", "fcn8", "--size", "64x64", "--epochs", 2)
    assert own == TrainSettings(
        data=data,
        model="fcn8",
        size=Size(64, 64),
        train_size=Size(64, 64),
        epochs=2,
        validate_every=0,
        **WEIGHTS,
    )
    assert settings_of(monkeypatch, "--data", data, "--optimizer", "sgd").ema == TrainSettings.ema
    assert settings_of(monkeypatch, "--data", data, "--optimizer", "adamw") == settings_of(monkeypatch, "--data", data)
    merged = settings_of(monkeypatch, "--classes", "road=road;other=*")
    assert merged.data.startswith("scenes:?classes=road=road")
    with pytest.raises(UsageError, match="--preset fast and --encoder both choose a network; leave one of them out"):
        settings_of(monkeypatch, "--preset", "fast", "--encoder", "vgg16")
    with pytest.raises(UsageError, match="crop ''; expected X,Y,W,H"):
        settings_of(monkeypatch, "--data", data, "--crop", "")
    with pytest.raises(UsageError, match="--preset with --resume; leave it out"):
        settings_of(monkeypatch, "--resume", "--preset", "fast")
