"""Files of PyTorch's weights: what they hold, and their hash."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from edgeseg.core.errors import ModelError
from edgeseg.models.torch_file import claimed_sha256, read_torch_file
from tests.helpers.torch_files import MAGIC, VERSION, call, name, parts_of, pickled, write_torch_file

# PyTorch 2.14 wrote it: the state dict of Sequential(Conv2d(1, 2, 2), BatchNorm2d(2)), whose n-th tensor counts up from
# 100 n, and five views; torch.save(..., _use_new_zipfile_serialization=False).
BY_TORCH = Path(__file__).parent / "written_by_torch.pth"
SIX = np.arange(6, dtype=np.float32)
WEIGHTS: dict[str, NDArray[Any]] = {"weight": SIX.reshape(2, 3), "count": np.array(5, np.int64)}
LEGACY = "_use_new_zipfile_serialization=False"


def refusal(path: Path, sha256: str = "") -> str:
    with pytest.raises(ModelError) as caught:
        read_torch_file(path, sha256)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_same(read: dict[str, NDArray[Any]], expected: dict[str, NDArray[Any]]) -> None:
    assert list(read) == list(expected)
    for key, values in expected.items():
        assert read[key].dtype == values.dtype
        assert read[key].shape == values.shape
        assert read[key].tobytes() == values.tobytes()
        assert read[key].flags.aligned
        assert not read[key].flags.writeable


def test_a_file_of_pytorch_s_own_is_read() -> None:
    shapes = {"0.weight": (2, 1, 2, 2), "0.bias": (2,), "1.weight": (2,), "1.bias": (2,)}
    shapes |= {"1.running_mean": (2,), "1.running_var": (2,)}
    expected: dict[str, NDArray[Any]] = {
        key: 100 * index + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
        for index, (key, shape) in enumerate(shapes.items())
    }
    base = np.arange(24, dtype=np.float32)
    expected |= {"1.num_batches_tracked": np.array(600, np.int64), "view": base[4:16].reshape(3, 4)}
    expected |= {"transposed": base.reshape(4, 6).T, "every third": base[1::3], "none": np.zeros((0, 4), np.float32)}
    expected["repeated"] = np.repeat(base[:2, None], 3, axis=1)
    assert_same(read_torch_file(BY_TORCH), expected)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=20),
        st.sampled_from([np.float32, np.int64]).flatmap(
            lambda dtype: arrays(dtype, st.just(()) | array_shapes(min_dims=1, min_side=0, max_dims=4, max_side=4))
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, weights: dict[str, NDArray[Any]]) -> None:
    path = write_torch_file(tmp_path_factory.getbasetemp() / "any.pth", weights)
    assert_same(read_torch_file(path), weights)


def test_the_newer_zip_form_says_how_to_save_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "new.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    assert "newer zip form" in refusal(tmp_path / "new.pth")
    assert LEGACY in refusal(tmp_path / "new.pth")


def test_what_is_no_file_of_weights_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    assert "not of torch's legacy form" in refusal(tmp_path / "text.pth")
    assert "no such file" in refusal(tmp_path / "absent.pth")
    assert "no such file" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.pth")
    assert "no such file" in refusal(tmp_path / "pipe.pth")
    (tmp_path / "sparse.pth").touch()
    os.truncate(tmp_path / "sparse.pth", 1 << 40)
    assert "1,048,576 MiB, more than 1,024" in refusal(tmp_path / "sparse.pth")


def test_a_file_cut_anywhere_or_with_more_at_its_end_is_refused(tmp_path: Path) -> None:
    whole = b"".join(parts_of(WEIGHTS))
    path = tmp_path / "cut.pth"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        refusal(path)
    path.write_bytes(whole + b"more")
    assert "4 bytes too many" in refusal(path)


def test_the_hash_in_a_name_is_compared_before_anything_is_read(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "plain.pth", WEIGHTS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = path.rename(tmp_path / f"net-{digest[:8]}.pth")
    assert claimed_sha256(named) == digest[:8]
    assert_same(read_torch_file(named), WEIGHTS)
    evil = pickled(call(name("os", "abort")))
    named.write_bytes(MAGIC + VERSION + evil)
    assert f", expected {digest[:8]}, as its name says: download" in refusal(named)
    (tmp_path / "net-zip-0123abcd.pth").write_bytes(b"PK")
    assert "expected 0123abcd" in refusal(tmp_path / "net-zip-0123abcd.pth")


def test_a_hash_that_is_given_counts_and_not_the_name_s(tmp_path: Path) -> None:
    path = write_torch_file(tmp_path / "net-00000000.pth", WEIGHTS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for right in (digest, digest[:8], digest.upper()):
        assert_same(read_torch_file(path, right), WEIGHTS)
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    assert f"begins with {digest}, expected {wrong}:" in refusal(path, wrong)
    for no_hash in (digest[:7], digest + "0", "sha256:" + digest):
        assert "give 8 to 64 hexadecimal digits" in refusal(path, no_hash)


@pytest.mark.parametrize(
    "file_name", ["net.pth", "net-1234567.pth", "net-0123456g.pth", "net-12345678", "12345678.pth"]
)
def test_a_name_without_a_hash_claims_none(file_name: str) -> None:
    assert claimed_sha256(Path(file_name)) == ""
