"""What a user is told of an error that ends a command: one line, and the exit code."""

from __future__ import annotations

import errno

import click

from edgeseg.core.errors import EdgesegError, EngineError, UsageError, one_line
from edgeseg.core.streams import silence_output

_EXTRA_OF = {
    "PIL": "train",
    "cv2": "camera",
    "matplotlib": "train",
    "onnx": "export",
    "prometheus_client": "metrics",
    "websockets": "live",
    "onnxruntime": "cpu",
    "openvino": "openvino",
    "packaging": "export",
    "google": "train",
    "google_crc32c": "train",
    "keras": "train",
    "rich": "train",
    "simplejpeg": "train",
    "tensorflow": "train",
    "tf2onnx": "export",
}


_OF_OUTPUT = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def explained(error: Exception, program: str) -> tuple[str, int] | None:
    """Return what a user is told of an error and the exit code; None for a fault of ours, which needs its traceback."""
    if isinstance(error, click.ClickException):
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else program
        return f"{error.format_message().rstrip('.')}; see {where} --help", 2
    if isinstance(error, EdgesegError):
        return str(error), error.exit_code
    if isinstance(error, ImportError):
        return _missing(error)
    if isinstance(error, OSError):
        return _refusal(error), UsageError.exit_code
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):  # as threading says it
        return "no memory is left; free some, raise the limit, or ask for less", EngineError.exit_code
    return None


def _missing(error: ImportError) -> tuple[str, int] | None:
    package = (error.name or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and package in _EXTRA_OF:
        return f"{package} is not installed and this command needs it: pip install 'edgeseg[{_EXTRA_OF[package]}]'", 2
    if isinstance(error, ModuleNotFoundError) or package == "edgeseg":
        return None
    return f"a library cannot be loaded ({one_line(error)[-200:]}); install it anew", 2


def _refusal(error: OSError) -> str:
    if error.filename is not None:
        return f"{error.filename}: {error.strerror}; mend it, or name another place"
    silence_output()
    if error.errno in _OF_OUTPUT:  # of click's own --help and --version
        return str(no_output(error))
    return f"the system refuses ({error.strerror or error}); free memory, processes or files, or raise the limits"


def no_output(error: OSError) -> UsageError:
    return UsageError(f"standard output cannot be written ({error.strerror}); redirect it elsewhere")
