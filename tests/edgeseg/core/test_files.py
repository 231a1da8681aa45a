import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.core.files import check_writable, replace_whole, write_whole
from edgeseg.core.whole_folders import replace_whole_folder


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_whole(path, "old")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        replace_whole(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    write_whole(path, "old")
    program = f"""
        import os, signal
        from pathlib import Path
        from edgeseg.core.files import replace_whole

        def die(partial):
            partial.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)

        replace_whole(Path({str(path)!r}), die)
    """
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(program)])
    assert died.returncode == -9
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_a_full_disk_is_an_error_that_keeps_the_old_file(tmp_path: Path) -> None:
    """A limit on file size gives the same failure in the middle of writing as a full disk."""
    path = tmp_path / "model.onnx"
    write_whole(path, "old")
    program = f"""
        import resource, signal
        from pathlib import Path
        from edgeseg.core.errors import UsageError
        from edgeseg.core.files import write_whole

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            write_whole(Path({str(path)!r}), "x" * 10_000)
        except UsageError as error:
            raise SystemExit(str(error))
    """
    failed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True)
    assert "cannot be written" in failed.stderr
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["model.onnx"]


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "fifo", "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert (tmp_path / "fifo").is_fifo()


def test_a_name_that_is_too_long_is_said(tmp_path: Path) -> None:
    for act in (check_writable, lambda path: write_whole(path, "x")):
        with pytest.raises(UsageError, match="File name too long"):
            act(tmp_path / ("x" * 300))


def test_a_place_that_cannot_be_written_is_found_before_any_work(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder" / "file")
    (tmp_path / "file").write_text("kept")
    check_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(UsageError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        check_writable(tmp_path / "file" / "x")


def fill(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text(text)

    return write


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_at_once_and_nothing_stays_beside_it(
    tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file system cannot exchange two names."""
    if not exchange:
        monkeypatch.setattr("edgeseg.core.whole_folders.RENAME_EXCHANGE", 1 << 20)  # the kernel knows no such flag
    for text in ("old", "new"):
        replace_whole_folder(tmp_path / "up" / "pack", fill(text))
        assert (tmp_path / "up" / "pack" / "sub" / "file").read_text() == text
        assert os.listdir(tmp_path / "up") == ["pack"]

    def fail(folder: Path) -> None:
        fill("half")(folder)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        replace_whole_folder(tmp_path / "up" / "pack", fail)
    assert (tmp_path / "up" / "pack" / "sub" / "file").read_text() == "new"
    assert os.listdir(tmp_path / "up") == ["pack"]


def test_a_kill_between_two_renames_is_undone_by_the_next_run(tmp_path: Path) -> None:
    """As where names cannot be exchanged: the old folder stands aside, the new one has not its name yet."""
    (tmp_path / ".pack.old").mkdir()
    fill("old")(tmp_path / ".pack.old")

    def look(folder: Path) -> str:
        assert not list(folder.iterdir())
        return (tmp_path / "pack" / "sub" / "file").read_text()

    assert replace_whole_folder(tmp_path / "pack", look) == "old"
    assert os.listdir(tmp_path) == ["pack"]


def test_two_writers_of_one_folder_do_not_destroy_each_other(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        fill("first")(folder)
        with pytest.raises(UsageError, match=f"process {os.getpid()} is writing it"):
            replace_whole_folder(tmp_path / "pack", fill("second"))

    replace_whole_folder(tmp_path / "pack", write)
    assert (tmp_path / "pack" / "sub" / "file").read_text() == "first"
