"""Files of PyTorch's weights whose tensors and storages do not fit each other."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from edgeseg.core.errors import ModelError
from edgeseg.models.torch_file import read_torch_file
from tests.helpers.torch_files import (
    MACHINE,
    MAGIC,
    VERSION,
    call,
    key_list,
    name,
    number,
    numbers,
    parts_of,
    pickled,
    state_dict,
    storage,
    stored,
    tensor,
    text,
)

SIX = np.arange(6, dtype=np.float32)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_torch_file(path)
    return str(caught.value)


def file_of(path: Path, value: bytes, keys: bytes = key_list("k"), values: bytes = stored(SIX)) -> Path:
    """Write a file whose one tensor `t` is these instructions, and whose storage `k` has six values."""
    path.write_bytes(MAGIC + VERSION + MACHINE + pickled(state_dict({"t": value})) + pickled(keys) + values)
    return path


def view(shape: list[int], strides: list[int], offset: int = 0) -> bytes:
    return tensor(storage("k", number(6)), numbers(shape), numbers(strides), number(offset))


def test_views_that_fit_their_storage_are_read(tmp_path: Path) -> None:
    for shape, strides, offset in [
        ([2, 3], [3, 1], 0),
        ([2], [2], 3),
        ([], [], 5),
        ([2, 2], [0, 1], 4),
        ([1], [99], 0),
    ]:
        read = read_torch_file(file_of(tmp_path / "view.pth", view(shape, strides, offset)))["t"]
        assert read.tolist() == np.lib.stride_tricks.as_strided(SIX[offset:], shape, [4 * s for s in strides]).tolist()


LARGE = 2**31 - 1
TRUE_ONCE = pickle.NEWTRUE + pickle.TUPLE1
DAMAGED = {
    "offset behind the storage": view([1], [1], 6),
    "end behind the storage": view([2, 3], [3, 1], 1),
    "strides beyond the storage": view([2], [6]),
    "more values than the storage": view([7], [0]),
    "terabytes of one value": view([2**20, 2**20, 2**20], [0, 0, 0]),
    "the largest sizes": view([LARGE] * 8, [LARGE] * 8),
    "no values of a large size": view([0, 2**30, 2**30, 2**30], [1, 1, 1, 1]),
    "negative size": view([-1], [1]),
    "negative stride": view([2], [-1], 5),
    "negative offset": view([2], [1], -1),
    "many dimensions": view([1] * 9, [1] * 9),
    "fewer strides than sizes": view([2, 3], [1]),
    "true as size": tensor(storage("k", number(6)), TRUE_ONCE, TRUE_ONCE),
    "true as offset": tensor(storage("k", number(6)), numbers([1]), numbers([1]), pickle.NEWTRUE),
    "a text as shape": tensor(storage("k", number(6)), text("ab"), numbers([1, 1])),
    "a list as shape": tensor(storage("k", number(6)), pickle.EMPTY_LIST, pickle.EMPTY_LIST),
    "a count that is no number": tensor(storage("k", pickle.NEWTRUE), numbers([1]), numbers([1])),
    "a negative count": tensor(storage("k", number(-1)), numbers([0]), numbers([1])),
    "a smaller count": tensor(storage("k", number(5)), numbers([1]), numbers([1])),
    "a larger count": tensor(storage("k", number(LARGE)), numbers([1]), numbers([1])),
    "another type": tensor(storage("k", number(3), "LongStorage"), numbers([1]), numbers([1])),
    "a view of a storage": tensor(storage("k", number(6), view=numbers([0])), numbers([1]), numbers([1])),
    "a function as type": tensor(storage("k", number(6), "_utils._rebuild_tensor_v2"), numbers([1]), numbers([1])),
    "an unknown storage": tensor(storage("x", number(6)), numbers([1]), numbers([1])),
    "a storage that is none": tensor(text("k"), numbers([1]), numbers([1])),
    "a storage named by a text": tensor(text("k") + pickle.BINPERSID, numbers([1]), numbers([1])),
    "a storage named by a list": tensor(pickle.EMPTY_LIST + pickle.BINPERSID, numbers([1]), numbers([1])),
    "a type that is called": call(name("torch", "FloatStorage"), number(6)),
    "too few arguments": call(name("torch._utils", "_rebuild_tensor_v2")),
    "a number": number(3),
    "a dict": state_dict({}),
}


@pytest.mark.parametrize("value", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_tensor_that_cannot_be_is_refused(tmp_path: Path, value: bytes) -> None:
    message = refusal(file_of(tmp_path / "bad.pth", value))
    assert "holds 't'" in message or "storage" in message


GOOD = view([6], [1])


@pytest.mark.parametrize(
    ("keys", "values"),
    [
        (key_list("k", "k"), stored(SIX) * 2),
        (key_list("k", "l"), stored(SIX) * 2),
        (key_list(), b""),
        (pickle.EMPTY_DICT, stored(SIX)),
        (text("k"), stored(SIX)),
        (pickle.EMPTY_LIST + number(1) + pickle.APPEND, stored(SIX)),
        (key_list("k"), struct.pack("<q", 7) + SIX.tobytes()),
        (key_list("k"), struct.pack("<q", -1) + SIX.tobytes()),
        (key_list("k"), struct.pack("<q", 2**62) + SIX.tobytes()),
    ],
)
def test_storages_that_do_not_fit_the_tensors_are_refused(tmp_path: Path, keys: bytes, values: bytes) -> None:
    assert read_torch_file(file_of(tmp_path / "good.pth", GOOD))["t"].tolist() == SIX.tolist()
    assert "storage" in refusal(file_of(tmp_path / "bad.pth", GOOD, keys, values))


def test_one_storage_described_in_two_ways_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "two.pth"
    state = state_dict({"a": GOOD, "b": tensor(storage("k", number(3), "LongStorage"), numbers([3]), numbers([1]))})
    path.write_bytes(MAGIC + VERSION + MACHINE + pickled(state) + pickled(key_list("k")) + stored(SIX))
    assert "in two ways" in refusal(path)


def test_a_big_endian_machine_s_file_is_refused(tmp_path: Path) -> None:
    machine = pickle.dumps({"protocol_version": 1001, "little_endian": False}, 2)
    parts = parts_of({"t": SIX})
    (tmp_path / "big.pth").write_bytes(b"".join([*parts[:2], machine, *parts[3:]]))
    assert "little-endian" in refusal(tmp_path / "big.pth")
