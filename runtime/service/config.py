"""`edgeseg-camera --config FILE`: the options of the command line as keys of a TOML file.

source = "csi://0"              # the argument
model = "model.onnx"            # beside this file: relative paths are relative to it
deadline-ms = 100               # any option by its name, with - or _
output = ["file://drive.mkv"]   # one that may be given several times: a list, or one text

Relative outputs are relative to $STATE_DIRECTORY where systemd has set it (StateDirectory= of a service): /etc, where
the file lies, can only be read there. What is typed on the command line counts before the file.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from edgeseg.core.console import PATH
from edgeseg.core.errors import UsageError, nearest
from edgeseg.core.files import lower_scheme
from edgeseg.core.private import may_hold_secret
from edgeseg.core.small_files import read_small
from edgeseg.core.toml import parse_toml
from edgeseg.runtime.sources.address import PORTS, parse_address, parse_pipeline

_PATHS = ("source-credentials", "road-bonnet")  # settings, whose type is text
_WRITTEN = ("output", "record", "stats", "summary")
_FILE_SCHEMES = ("", "file", "unix", "record")


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --config."""
    text = "TOML file with these options by name and `source`; what is typed here counts before it."
    return click.option(
        "--config", type=PATH, is_eager=True, expose_value=False, callback=_take, metavar="FILE", help=text
    )(command)


def _take(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        context.default_map = read_config(path, context)


def is_by_file() -> bool:
    """Return whether the command that runs has got --config."""
    return click.get_current_context().default_map is not None


def read_config(path: Path, context: click.Context) -> dict[str, Any]:
    """Return the values of a settings file by parameter, as click's `default_map` takes them.

    Args:
        path: the file.
        context: of the command whose options may be in it.

    Raises:
        UsageError: it cannot be read, is no TOML, or holds what the command does not know or take; names the key.
    """
    try:
        text = read_small(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{path}: cannot be read ({reason}); expected a TOML file of settings") from error
    known, values = keys(context.command), {}
    for key, value in parse_toml(text, str(path), "lines such as deadline-ms = 100", endless=True).items():
        name = key.replace("_", "-")
        if name not in known:
            raise UsageError(f"{path}: unknown key {_shown(key)}{nearest(name, known)}; expected an option of --help")
        parameter = known[name]
        if parameter.name in values:
            raise UsageError(f"{path}: {name} is there twice, with - and with _; keep one")
        values[parameter.name] = _value(path, name, value, parameter, context)
    return values


def keys(command: click.Command) -> dict[str, click.Parameter]:
    """Return what may be in the file: each option and argument that says how to run, by its name."""
    found: dict[str, click.Parameter] = {}
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            found[parameter.name] = parameter
        elif parameter.expose_value and parameter.name != "check_config":
            found[parameter.opts[-1].removeprefix("--")] = parameter
    return found


def _value(path: Path, key: str, value: Any, parameter: click.Parameter, context: click.Context) -> Any:
    several = parameter.multiple
    each = value if several and isinstance(value, list) else [value]
    kinds, expected = _expected(parameter)
    if not all(type(one) in kinds and "\0" not in str(one) for one in each):
        expected = f"{expected}, or a list of them" if several else expected
        raise UsageError(f"{path}: {key} = {_shown(value)}; expected {expected}")
    each = [_placed(path, key, one, parameter) for one in each]
    found = each if several else each[0]
    try:
        parameter.type_cast_value(context, found)
    except click.BadParameter as error:
        reason = "not a value of it" if may_hold_secret(str(value)) else error.message
        raise UsageError(f"{path}: {key} = {_shown(value)}: {reason}") from error
    return found


def _shown(value: Any) -> str:
    """Return what stands in the file for a message: an address in the wrong place is not repeated."""
    return "..." if may_hold_secret(str(value)) else repr(value)


def _expected(parameter: click.Parameter) -> tuple[tuple[type, ...], str]:
    """Return TOML's types for a parameter. Click by itself takes `frames = 2.7` for 2, and "no" for False."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        return (bool,), "true or false"
    if isinstance(parameter.type, click.types.IntParamType):
        return (int,), "a whole number"
    if isinstance(parameter.type, click.types.FloatParamType):
        return (int, float), "a number"
    return (str,), "a text in quotes"


def _placed(path: Path, key: str, value: Any, parameter: click.Parameter) -> Any:
    """Return a value with the paths in it relative to the file's folder, or to a service's for what it writes."""
    folder = (_state_folder() if key in _WRITTEN else None) or path.absolute().parent
    if key == "source":
        _refuse_secrets(path, value)
        base = glob.escape(str(folder)) if glob.has_magic(value) else str(folder)
        return value if value.isdecimal() else _placed_uri(base, value)
    if key == "output":
        return _placed_uri(str(folder), value)
    is_path = isinstance(parameter.type, click.Path) or key in _PATHS
    return _joined(str(folder), value) if is_path else value


def _state_folder() -> Path | None:
    """Return the first of the folders that systemd has made for a service (systemd.exec(5))."""
    first = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(first) if first.startswith("/") else None


def _placed_uri(folder: str, uri: str) -> str:
    scheme, separator, rest = lower_scheme(uri).partition("://")
    if not separator:
        return _joined(folder, uri)
    folder = quote(folder) if scheme == "file" else folder  # an address is decoded, %20 to a blank
    return f"{scheme}://{_joined(folder, rest)}" if scheme in _FILE_SCHEMES else uri


def _joined(folder: str, text: str) -> str:
    text = os.path.expanduser(text)
    return text if not text or text.startswith("/") else f"{folder}/{text}"  # a / at the end, a folder's, stays


def _refuse_secrets(path: Path, source: str) -> None:
    if _tells_secret(source):
        raise UsageError(
            f"{path}: source holds a user's name or password, which all who may read the file would see; write "
            "USER:PASSWORD into a file of its own and name that by source-credentials, of rtsp:// and http://"
        )


def _tells_secret(source: str) -> bool:
    scheme, separator, rest = lower_scheme(source).partition("://")
    if separator and scheme in PORTS:
        return parse_address(f"{scheme}://{rest}").tells_secret
    if separator and scheme == "gst":
        return parse_pipeline(rest.strip()).tells_secret
    return scheme != "file" and ":" in source.partition("@")[0] and "@" in source and not os.path.lexists(source)
