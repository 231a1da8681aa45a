"""What both commands share: errors as one line with the right exit code, option types, options made of settings."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

import click
from click.core import ParameterSource

from edgeseg.core.errors import EngineError, UsageError, escaped, one_line
from edgeseg.core.explained import explained, no_output
from edgeseg.core.geometry import Size
from edgeseg.core.option_types import number_in
from edgeseg.core.private import without_typed_secrets
from edgeseg.core.streams import silence_output


class SizeType(click.ParamType[Size]):
    """WIDTHxHEIGHT."""

    name = "WIDTHxHEIGHT"

    def get_metavar(self, *_: Any, **__: Any) -> str:
        return self.name  # click would write it in capitals, the x too

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        try:
            return value if isinstance(value, Size) else Size.parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


SIZE = SizeType()
PATH = click.Path(path_type=Path)
Command = TypeVar("Command", bound=Callable[..., Any])


def setting_options(
    settings: type, leave_out: Sequence[str] = (), decided: Sequence[str] = (), by: str = ""
) -> Callable[[Command], Command]:
    """Give a command one option for each setting of a dataclass, named, typed and explained by the setting itself.

    Args:
        settings: the dataclass.
        leave_out: names of settings without an option.
        decided: names of settings whose defaults something else decides: `by`, for the help.
    """

    def decorate(command: Command) -> Command:
        for each in reversed(fields(settings)):
            if each.name not in leave_out:
                command = setting_option(each, shown=by if each.name in decided else "")(command)
        return command

    return decorate


def setting_option(setting: Field[Any], prefix: str = "", shown: str = "") -> Callable[[Command], Command]:
    """Return the option of a setting (core/settings.py), which names, types and explains it; its value is unchecked.

    Args:
        setting: a field of a settings dataclass.
        prefix: begins the option's name.
        shown: what the help says of its default, instead of the setting's.
    """
    name = prefix + setting.name.replace("_", "-")
    default, text = setting.default, setting.metadata["help"]
    kind: Any = SIZE if setting.metadata["kind"] is Size else setting.metadata["kind"]
    if setting.metadata["between"]:
        kind = number_in(setting.metadata["between"])
    if setting.metadata["choices"]:
        kind = click.Choice(setting.metadata["choices"])
    return click.option(
        f"--{name}/--no-{name}" if kind is bool else f"--{name}",
        type=kind,
        default=str(default) if isinstance(default, Size) else default,
        show_default=shown or default != "",
        help=f"{sentence(text, setting.metadata['choices'])}.",
    )


def sentence(text: str, values: Sequence[str] = ()) -> str:
    """Begin a text with a capital, unless it begins with a value that is typed as it stands."""
    first = text.split()[0].rstrip(",;:")
    is_value = first in values or any(letter in "_/" or letter.isdigit() for letter in first)
    return text if is_value else f"{text[0].upper()}{text[1:]}"


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the user has typed, without those at their defaults."""
    source = click.get_current_context().get_parameter_source
    return {name: value for name, value in options.items() if source(name) is not ParameterSource.DEFAULT}


def run_command(command: click.Command, program: str) -> NoReturn:
    """Run a click command as a program: one line for what a user can cause, and the documented exit codes."""
    for name, value in (("OPENCV_FFMPEG_LOGLEVEL", "-8"), ("OPENCV_LOG_LEVEL", "SILENT")):
        os.environ.setdefault(name, value)  # set before cv2 is imported: what goes wrong is said once, by our errors
    try:
        code = command.main(prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        _fail(program, "stopped", 130)
    except SystemExit:  # click's alone, with code 1, where the reader of --help has gone, as in `| head`: no error
        code = 0
    except Exception as error:
        said = explained(error, program)
        if said is None:
            raise
        _fail(program, *said)
    _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End the program. After an engine's failure nothing more may run.

    Once a CUDA error has spoilt the context, destructors of CUDA's libraries that run at Python's exit abort the
    process: a supervisor would see 134 in place of the code that says to start it again.
    """
    if code == EngineError.exit_code:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # full, gone, closed, or none
                stream.flush()
        os._exit(code)
    sys.exit(code)


def say(text: str) -> None:
    """Print to standard output. A reader that has gone, as in `| head`, is no error.

    Raises:
        UsageError: standard output cannot be written.
    """
    try:
        _print(text, sys.stdout)
    except OSError as error:
        silence_output()
        if not isinstance(error, BrokenPipeError):
            raise no_output(error) from error


def note(text: str) -> None:
    """Print to standard error what a user should know but no program reads."""
    with contextlib.suppress(OSError):
        _print(text, sys.stderr)


def _print(text: str, file: TextIO) -> None:
    text = "\n".join(map(escaped, text.split("\n")))  # a name in it may hold what steers a terminal
    try:
        print(text, file=file, flush=True)
    except UnicodeEncodeError:  # a file name that is no text, or text that this terminal cannot show
        print(text.encode(file.encoding, "backslashreplace").decode(file.encoding), file=file, flush=True)


def _fail(program: str, message: str, code: int) -> NoReturn:
    with contextlib.suppress(OSError):  # standard error may be full or gone
        _print(f"{program}: {without_typed_secrets(one_line(message), sys.argv[1:])}", sys.stderr)
    _leave(code)
