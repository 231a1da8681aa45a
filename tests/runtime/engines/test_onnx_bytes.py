"""Metadata from the bytes of an ONNX file, without the library that wrote it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.runtime.engines.onnx_bytes import onnx_metadata


def test_it_is_what_was_written(write_model: Callable[..., Path]) -> None:
    path = write_model()
    model = onnx.load(str(path))
    extra = model.metadata_props.add()
    extra.key, extra.value = "ort\u00e9", ""
    model.doc_string = "x" * 300
    onnx.save(model, str(path))
    assert onnx_metadata(path) == {each.key: each.value for each in model.metadata_props}


@pytest.mark.parametrize(
    "content", [b"\x08\x08half", b"\xff" * 40, b"\x00\x00\x00", b"\x3a\x10cut", b"\x72\x04\x0a\x02\xff\xfe"]
)
def test_what_is_cut_off_or_something_else_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot load it, not a whole ONNX file") as caught:
        onnx_metadata(path)
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_anywhere_is_no_traceback(write_model: Callable[..., Path], tmp_path: Path) -> None:
    whole = write_model().read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with contextlib.suppress(ModelError):
            onnx_metadata(path)  # between two fields what is there is whole
    with pytest.raises(ModelError, match="no such file"):
        onnx_metadata(tmp_path / "none.onnx")
