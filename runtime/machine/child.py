"""Processes that edgeseg starts beside itself, and that never outlive it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from typing import Any

_PR_SET_PDEATHSIG = 1

# The child finds modules where this process does, whatever the working folder holds. Unlike multiprocessing's spawn,
# this works from a script without an `if __name__ == "__main__"` guard.
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); import {module} as module; module.main()"


def child_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs `module.main()` with `sys.argv[1:] == arguments`."""
    return [sys.executable, "-c", _CODE.format(module=module), json.dumps(sys.path), *arguments]


def start_child(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that runs `module.main()`, out of Ctrl-C's reach from its first moment; options are Popen's.

    The terminal sends Ctrl-C to the whole group, and `begin_child` comes after imports that it would break off.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the child inherits it
    try:
        return subprocess.Popen(child_command(module, *arguments), **options)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_child(parent: int) -> None:
    """In the child: die with the process `parent`, which alone decides when to end."""
    for number in (signal.SIGINT, signal.SIGTERM):  # both can reach the whole group
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        sys.exit(0)
