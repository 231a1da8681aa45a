"""Built-in road scenes with exact masks, so that a first try needs no data: `render_scene` and `Drive`."""

from edgeseg.scenes.classes import CLASSES
from edgeseg.scenes.drive import Drive
from edgeseg.scenes.render import render_scene

__all__ = ["CLASSES", "Drive", "render_scene"]
