"""The data argument: what it names, and the data set that it opens.

`FORMAT:PATH`, `FORMAT:PATH?key=value&key=value`, the path of a `dataset.toml`, the path of data whose format is told by
what is in it (`edgeseg.data.reading.recognition`), or a Python class `package.module:Class` (with
`package.module:Class:TEXT`, its constructor gets the text). Three options work for all of them: `classes` merges
classes, `ignore_mask` names a mask of what is never labelled rightly, such as the bonnet, `bits` says how many bits of
16-bit pictures count.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from urllib.parse import quote, unquote

from edgeseg.core.console import note
from edgeseg.core.errors import DataError, EdgesegError, UsageError, nearest, with_type
from edgeseg.core.files import path_of_file_url
from edgeseg.data.base import Dataset
from edgeseg.data.registry import DECLARED, DECLARED_FORMAT, FORMATS
from edgeseg.data.wrappers import merged

MERGE = "classes"
"""An option that every format has: a rule of `edgeseg.core.labels.merge_classes`."""
IGNORE_MASK = "ignore_mask"
"""An option that every format has: the file of `edgeseg.data.reading.ignore_mask.masked`."""
BITS = "bits"
"""An option that every format has: of pictures stored in 16 bits, how many count (`edgeseg.core.pictures.depth`)."""
FILE_SCHEME = "file://"
PYTHON_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")


def open_dataset(argument: str) -> Dataset:
    """Open a data argument, for example `camvid:../data/camvid`, `scenes:train=200` or `roads/dataset.toml`.

    PATH may be an address `file:///`; the case of FORMAT does not matter. Where it is not said, what the path is taken
    for is said on standard error.

    Raises:
        UsageError: the format or an option is unknown, or a value is out of range.
        DataError: the data is not as the format lays it out.
    """
    location, options = split_argument(argument)
    name, colon, rest = _named_format(location)
    rule, ignore_mask, bits = (options.pop(each, None) for each in (MERGE, IGNORE_MASK, BITS))
    if name in FORMATS and colon:
        dataset = _open(name, FORMATS[name].load(), rest, options)
    elif name == DECLARED:
        dataset = _open(DECLARED, DECLARED_FORMAT.load(), rest, options)
    elif colon and PYTHON_CLASS.match(name):
        dataset = _open_class(name, rest, options)
    else:
        raise _unknown(location)
    if bits is not None:
        dataset.bits = _bits(bits)
    if ignore_mask is not None:
        from edgeseg.data.reading.ignore_mask import masked  # brings OpenCV

        dataset = masked(dataset, ignore_mask)
    if not dataset.splits:
        raise DataError(f"{argument}: no picture with labels in it; expected at least one, laid out as in docs/data.md")
    return dataset if rule is None else merged(dataset, rule)


def data_of_model(given: str | None, trained_on: str, option: str) -> str:
    """Return the data argument that the user has given, else the one that a model or a run was trained on.

    Raises:
        UsageError: that is a Python class: no file that comes from elsewhere decides what code is loaded.
    """
    name, colon, _ = trained_on.partition(":")
    if not given and colon and PYTHON_CLASS.match(name) and name not in FORMATS:
        raise UsageError(
            f"trained on {trained_on}, a Python class; expected it from you, since loading it runs its "
            f"code: {option} '{trained_on}'"
        )
    return given or trained_on


def _named_format(location: str) -> tuple[str, str, str]:
    """Return the format, a colon, and its path; as they stand for what is no format, without colon for a lone path."""
    name, colon, rest = location.partition(":")
    if colon and name.lower() in FORMATS:
        return name.lower(), colon, _path(rest)
    path = _path(location)
    if colon and PYTHON_CLASS.match(name):
        return name, colon, rest
    if path.lower().endswith(".toml"):
        return DECLARED, "", path
    if not path or not os.path.exists(os.path.expanduser(path)):
        return name, colon, rest
    found = _recognised(os.path.expanduser(path))
    return found, ":", os.path.join(path, DECLARED) if found == DECLARED else path


def _path(text: str) -> str:
    return path_of_file_url(text[len(FILE_SCHEME) :]) if text.lower().startswith(FILE_SCHEME) else text


def _recognised(path: str) -> str:
    """Return the format that a path has, and say why. Raises UsageError unless it is one."""
    from edgeseg.data.reading.recognition import recognised

    found = recognised(Path(path))
    said = " and ".join(f"{each.format}: {each.evidence}" for each in found)
    if len(found) != 1:
        what = f"looks like {said}; expected one" if found else "no format is recognised in it; expected FORMAT:PATH"
        ways = ", ".join(f"{each.format}:{path}" for each in found) or ", ".join(f"{each}:" for each in FORMATS)
        raise UsageError(f"{path}: {what}: say which, of {ways}")
    _say_once(f"{path}: looks like {said}")
    return found[0].format


@cache
def _say_once(text: str) -> None:
    note(text)


def _bits(text: str) -> int:
    if text not in [str(each) for each in range(8, 17)]:
        raise UsageError(f"data option bits={text}; expected 8 to 16, the bits of a 16-bit picture that count")
    return int(text)


def _open(name: str, kind: type[Dataset], text: str, options: dict[str, str]) -> Dataset:
    check_options(options, kind.OPTIONS, f"data format {name!r}")
    try:
        return kind(text, **options)
    except OSError as error:  # a folder that may not be read, a name that is too long
        raise DataError(f"{error.filename or text}: cannot be read ({error.strerror}); mend it, or --data") from error


def _open_class(module: str, rest: str, options: dict[str, str]) -> Dataset:
    """Open `package.module:Class:TEXT`. What its code raises becomes one line too."""
    class_name, _, text = rest.partition(":")
    name = f"{module}:{class_name}"
    kind = _imported(module, class_name)
    if not (isinstance(kind, type) and issubclass(kind, Dataset)):
        raise UsageError(f"{name} is no data set; expected a class on the base class edgeseg.data.Dataset")
    try:
        return _open(name, kind, text, options)
    except EdgesegError:
        raise
    except Exception as error:
        raise DataError(f"{name}: cannot be opened ({with_type(error)}); correct the class") from error


def _imported(module: str, class_name: str) -> object:
    here = os.getcwd()
    added = here not in sys.path
    if added:  # a console script does not look into the folder it is called from, a user does
        sys.path.append(here)
    try:
        return getattr(import_module(module), class_name)
    except Exception as error:
        raise UsageError(
            f"{module}:{class_name} cannot be imported ({with_type(error)}); expected package.module:Class, with the "
            f"package installed or in the current folder"
        ) from error
    finally:
        if added:
            sys.path.remove(here)


def _unknown(location: str) -> UsageError:
    name, colon, _ = location.partition(":")
    known = ", ".join(f"{each}:" for each in FORMATS)
    if colon:
        return UsageError(f"data format {name!r} is unknown{nearest(name, FORMATS)}; expected one of {known}")
    return UsageError(
        f"data {location!r}; expected FORMAT:PATH with a format of {known} (as in camvid:{location}), or the path of "
        f"a {DECLARED}"
    )


def split_argument(argument: str) -> tuple[str, dict[str, str]]:
    """Return what stands before the `?`, and the options after it.

    Values may be written as they are or percent-encoded: `%26` is the way to write a `&`, and a `+` is a plus. A path
    that exists with its `?` in it is a path. Raises UsageError.
    """
    location, mark, query = argument.partition("?")
    if not mark or os.path.exists(argument) or os.path.exists(argument.partition(":")[2]):
        return argument, {}
    options: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        key, equals, value = part.partition("=")
        if not equals:
            raise UsageError(f"data option {part!r} in {argument!r}; expected KEY=VALUE after the ?, joined by &")
        if key in options:
            raise UsageError(f"data option {key!r} is given twice in {argument!r}; give it once")
        options[key] = unquote(value)
    return location, options


def with_classes(argument: str, rule: str | None) -> str:
    """Return a data argument with a rule for merging classes behind it; as it is if there is none."""
    if rule is None:
        return argument
    return f"{argument}{'&' if '?' in argument else '?'}{MERGE}={quote(rule, safe='=,;* ')}"


def check_options(options: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise UsageError, naming `where` and the nearest known option, for an option that is not known."""
    all_known = sorted({*known, MERGE, IGNORE_MASK, BITS})
    for key in options:
        if key not in all_known:
            raise UsageError(
                f"{where} has no option {key!r}{nearest(key, all_known)}; expected one of {', '.join(all_known)}"
            )
