"""TensorFlow and Keras, imported in this one place and without their start-up chatter.

Import it only inside the command that needs it: it takes four seconds.
"""

from __future__ import annotations

import os
import re

from edgeseg.core.errors import UsageError
from edgeseg.core.quiet import suppress_stderr

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # set before the import; 2 still reports every missing CUDA library
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # by default TensorFlow takes a GPU's whole memory
os.environ["KERAS_BACKEND"] = "tensorflow"


try:
    with suppress_stderr():  # C++ writes before it reads TF_CPP_MIN_LOG_LEVEL
        import keras
        import tensorflow as tf
except ModuleNotFoundError as error:
    raise UsageError(f"{error.name} is not installed; training needs it: pip install 'edgeseg[train]'") from error

__all__ = ["first_line", "keras", "tf"]


def first_line(error: Exception) -> str:
    """Return what a user can use of an error of TensorFlow's or Keras's: one short line without graph nodes."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]", "", str(error)).strip()
    text = text.rpartition("Exception encountered: ")[2]  # what Keras says of a layer's file, after all of the layer
    line = (text.splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\S*/\S*; ", "", line.strip())[:160]  # the file system names the file first, in full
