"""TensorFlow and Keras, imported in this one place and without their start-up chatter.

Import it only inside the command that needs it: it takes four seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from edgeseg.errors import UsageError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # set before the import; 2 still reports every missing CUDA library
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # by default TensorFlow takes a GPU's whole memory
os.environ["KERAS_BACKEND"] = "tensorflow"


@contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Drop what C++ writes to stderr before it reads TF_CPP_MIN_LOG_LEVEL; show it after all if the import fails."""
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(shown, held.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)


try:
    with _stderr_held_back():
        import keras
        import tensorflow as tf
except ModuleNotFoundError as error:
    raise UsageError(f"{error.name} is not installed; training needs it: pip install 'edgeseg[train]'") from error

__all__ = ["keras", "tf"]
