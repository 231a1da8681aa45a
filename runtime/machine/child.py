"""Programs that edgeseg starts beside itself: nothing of them comes from the current folder, and no secret goes along.

Every one starts through this file.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

import edgeseg

CREDENTIALS_VARIABLE = "EDGESEG_SOURCE_CREDENTIALS"

_PR_SET_PDEATHSIG = 1
_OF_THE_GROUP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # which reach all processes of a terminal or service
_SECRETS = frozenset({CREDENTIALS_VARIABLE})
# Where Python and its packages lie, without which the child would be another Python.
_PLACES_OF_PYTHON = frozenset({"PYTHONHOME", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "PYTHONUSERBASE"})

# With -c, Python puts the current folder first, and 3.10 cannot be told not to: until the path is set, nothing may be
# imported but `sys`, which is no file. Unlike multiprocessing's spawn, this works from a script without an
# `if __name__ == "__main__"` guard; unlike -I, it keeps the user's site and PYTHONPATH.
_CODE = "import sys; sys.path[:] = {path!r}; import {module} as module; sys.exit(module.main())"


def _folder_at_start() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was removed; then Python could not put it there either
        return ""


_STARTED_IN = _folder_at_start()


def child_path() -> list[str]:
    """Return this process's `sys.path` without the current folder, unless the user put it there.

    Python puts the folder of the script, or with -m the current one, before all others, and a shell or notebook `''`.
    A source tree that was never installed, from where `python -m edgeseg` runs, stays, but behind all others.
    """
    path = [entry for entry in sys.path if entry]
    current = {os.path.realpath(each) for each in (_STARTED_IN, _folder_at_start()) if each}
    own = _put_by_python()
    if own in path and os.path.realpath(own) in current:
        path.remove(own)  # the first: PYTHONPATH comes behind it, and names it once more
    root = os.path.dirname(os.path.abspath(edgeseg.__path__[0]))
    return path if own != root or root in path else [*path, root]


def _put_by_python() -> str:
    """Return the folder that Python itself put on `sys.path` as it started; empty if it put none."""
    if sys.flags.isolated or getattr(sys.flags, "safe_path", False):  # 3.11
        return ""
    main = sys.modules.get("__main__")
    if getattr(main, "__spec__", None) is not None:  # -m
        return _STARTED_IN
    script = getattr(main, "__file__", None)
    return os.path.dirname(os.path.realpath(script)) if script else ""


def child_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs `module.main()` with `sys.argv[1:] == arguments`."""
    flags = {"-s": sys.flags.no_user_site, "-S": sys.flags.no_site, "-B": sys.dont_write_bytecode}
    given = [flag for flag, is_set in flags.items() if is_set]
    return [sys.executable, *given, "-c", _CODE.format(module=module, path=child_path()), *arguments]


def child_environment(**more: str) -> dict[str, str]:
    """Return this process's environment without secrets and what would change how Python runs, and with `more`."""
    return {
        name: value
        for name, value in {**os.environ, **more}.items()
        if name not in _SECRETS and (not name.startswith("PYTHON") or name in _PLACES_OF_PYTHON)
    }


def start_child(
    module: str, *arguments: str, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a process that runs `module.main()`, out of Ctrl-C's reach from its first moment; options are Popen's.

    The terminal sends Ctrl-C to the whole group, and `begin_child` comes after imports that it would break off.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_THE_GROUP)  # the child inherits it
    try:
        environment = child_environment(**variables or {})
        return subprocess.Popen(child_command(module, *arguments), env=environment, **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_child(
    module: str, *arguments: str, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run `module.main()` to its end in a process that Ctrl-C reaches; options are those of subprocess.run.

    Raises:
        OSError: no process can be had.
        subprocess.TimeoutExpired: `timeout`, one of the options, has passed.
    """
    environment = child_environment(**variables or {})
    return subprocess.run(child_command(module, *arguments), env=environment, **options)


def run_program(name: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a program of the system to its end. Folders on the PATH that are relative to the current one do not count.

    Raises:
        OSError: it is not there, or no process can be had.
        subprocess.TimeoutExpired: `timeout`, one of the options, has passed.
    """
    return subprocess.run([_program(name), *arguments], env=child_environment(), **options)


def _program(name: str) -> str:
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(name)


def begin_child(parent: int) -> None:
    """In the child: die with the process `parent`, which alone decides when to end."""
    for number in _OF_THE_GROUP:
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(0)
