"""A full disk ends nothing that does not need it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edgeseg.training.progress import SampleProgress

NO_FILE = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "


def test_lines_that_cannot_be_written_are_lost_and_the_work_goes_on() -> None:
    with open("/dev/full", "w") as full, SampleProgress("working", Console(file=full)) as progress:
        progress.say("the first line that does not fit")
        progress.say("the second")


def test_nothing_is_held_back_where_there_is_no_room_to_hold_it() -> None:
    program = f"{NO_FILE}from edgeseg.core.quiet import suppress_stderr\nwith suppress_stderr(): print('done')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("command", ["formats", "check"])
def test_a_full_disk_behind_standard_output_is_one_line(command: str, tmp_path: Path) -> None:
    options = ["scenes:train=1,val=1,test=1,size=64x64", "--out", str(tmp_path)] if command == "check" else []
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgeseg", "data", command, *options], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("edgeseg: standard output cannot be written (No space left")
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("tensorflow")
def test_pictures_of_names_that_are_no_text_go_to_tensorboard(tmp_path: Path) -> None:
    from edgeseg.training.tensorboard import BoardWriter

    said: list[str] = []
    name = os.fsdecode(b"stra\xdfe")
    with BoardWriter(tmp_path, said.append) as board:
        board.write_pictures({f"prediction/{name}": np.zeros((4, 4, 3), np.uint8)}, 1)
    assert said == []
    assert next(tmp_path.iterdir()).stat().st_size > 200
