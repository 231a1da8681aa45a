"""Ctrl-C while a program, or a process that it starts, is still importing its modules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeseg.core.signals import StopRequest
from edgeseg.runtime.machine.child import start_child


@pytest.mark.parametrize(("module", "program"), [("edgeseg", "edgeseg"), ("edgeseg.runtime", "edgeseg-camera")])
def test_ctrl_c_during_the_imports_is_one_line(module: str, program: str, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a script's background ignores it
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, f"{program}: stopped\n")


def test_what_ends_a_group_reaches_no_child_process() -> None:
    process = start_child("edgeseg.runtime.machine.probes", "opencv", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # what a terminal or service sends to all
        process.send_signal(number)
    found, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, b"")
    assert "version" in json.loads(found)
    assert not {signal.SIGINT, signal.SIGTERM, signal.SIGHUP} & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_a_second_sigterm_takes_nothing_from_the_end_and_ctrl_c_still_does() -> None:
    with StopRequest() as stop:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_sighup_stays_ignored_where_it_was() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)
