"""The settings file in a bundle, which becomes /etc/edgeseg/camera.toml: the user's, or one by the target."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from edgeseg.bundle.settings import DEVICE_BACKENDS, MODEL_PLACE, default_camera_settings
from edgeseg.bundle.targets import Target
from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.small_files import read_small
from edgeseg.runtime.commands.camera import camera
from edgeseg.runtime.service.config import read_config


class CameraSettings(NamedTuple):
    """A settings file's text, and the engine that it asks for."""

    text: str
    backend: str


def camera_settings(target: Target, file: Path | None) -> CameraSettings:
    """Return the settings of a bundle, with the model's place on the device in them.

    Args:
        target: the device.
        file: the user's; None for the target's own.

    Raises:
        UsageError: the file holds what `edgeseg-camera` does not take, or cannot be a service's.
    """
    if file is None:
        return CameraSettings(default_camera_settings(target), target.backend)
    values = read_config(file, click.Context(camera))
    if "source" not in values:
        raise UsageError(f"{file}: names no source; a service needs one, for example source = {target.camera!r}")
    if values.get("model", MODEL_PLACE) != MODEL_PLACE:
        raise UsageError(f"{file}: model = {values['model']}; leave it out: on the device it is {MODEL_PLACE}")
    backend = values.get("backend", "auto")
    backend = target.backend if backend == "auto" else backend
    if backend not in DEVICE_BACKENDS:
        raise UsageError(
            f"{file}: backend = {backend!r}{nearest(backend, DEVICE_BACKENDS)}; expected {', '.join(DEVICE_BACKENDS)}"
        )
    # Left to `auto`, a service whose GPU fails would go on on the CPU, and nobody would see.
    wanted = {"model": MODEL_PLACE, "backend": backend}
    added = "".join(f'{key} = "{value}"\n' for key, value in wanted.items() if key not in values)
    return CameraSettings(added + read_small(file), backend)
