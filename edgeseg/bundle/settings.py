"""What a bundle is made of, and the settings in it. Nothing heavy is imported here: the command's --help reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.bundle.targets import Target
from edgeseg.core.errors import UsageError
from edgeseg.core.settings import check_settings, setting

MODEL_PLACE = "/opt/edgeseg/current/model/model.onnx"
"""Where install.sh links the model of the version that runs: settings outlive a model's name."""

DEVICE_BACKENDS = ("tensorrt", "onnxruntime-cuda", "onnxruntime-cpu")
"""What install.sh can test."""


@dataclass(frozen=True)
class BundleSettings:
    """What goes into a bundle. Raises UsageError for a value that makes no sense.

    Attributes:
        target: the device.
        spec: spec file of a model that holds none.
        camera: TOML file for `edgeseg-camera --config`; None for one by the target.
        wheels: folder of wheels that count before the package index.
        equal_pixels: the least share of pixels as in the golden masks; None for the export's limit of the precision.
    """

    target: Target
    golden: str = setting("scenes://", "pictures, a video or scenes:// for the golden frames: best the camera's own")
    golden_frames: int = setting(8, "how many of them", (1, 200))
    spec: Path | None = None
    camera: Path | None = None
    wheels: Path | None = None
    equal_pixels: float | None = None

    def __post_init__(self) -> None:
        check_settings(self)
        if self.equal_pixels is not None and not 0 < self.equal_pixels <= 1:
            raise UsageError(f"equal_pixels = {self.equal_pixels}; expected a share above 0, at most 1")


def default_camera_settings(target: Target) -> str:
    """Return the text of a settings file for a device's camera."""
    lines = [f'source = "{target.camera}"', f'model = "{MODEL_PLACE}"', f'backend = "{target.backend}"']
    if target.backend != "onnxruntime-cpu":
        lines += ["give-up-seconds = inf       # a camera that is not there yet is waited for"]
    return "\n".join(
        [
            "# What edgeseg-camera does on this device: any option of `edgeseg-camera --help` by its name.",
            "# After a change: edgeseg-camera --config THIS_FILE --check-config, then restart the service.",
            *lines,
            "# deadline-ms = 100         # older masks are delivered as stale",
            '# output = ["unix:///run/edgeseg/camera/masks.sock", "file:///var/lib/edgeseg/camera/drive.mkv"]',
            '# quota = "20GB"            # with a video: the oldest of it is deleted; without, it fills the disk',
            "",
        ]
    )
