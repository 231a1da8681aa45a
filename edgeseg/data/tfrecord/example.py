"""`tf.train.Example` without TensorFlow: the same message, declared to protobuf here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

from edgeseg.core.errors import DataError, nearest

# tensorflow/core/example/{example,feature}.proto; lists of floats are left out and skipped.
SCHEMA = """
name: "example.proto" package: "edgeseg" syntax: "proto3"
message_type { name: "BytesList" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "Int64List" field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type {
  name: "Feature" oneof_decl { name: "kind" }
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL oneof_index: 0
          type: TYPE_MESSAGE type_name: ".edgeseg.BytesList" }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL oneof_index: 0
          type: TYPE_MESSAGE type_name: ".edgeseg.Int64List" }
}
message_type {
  name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED
          type: TYPE_MESSAGE type_name: ".edgeseg.Features.FeatureEntry" }
  nested_type {
    name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".edgeseg.Feature" }
  }
}
message_type {
  name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".edgeseg.Features" }
}
"""


@lru_cache(maxsize=1)
def _example_class() -> Any:
    pool = DescriptorPool()  # one of its own: TensorFlow registers its messages in the default one
    pool.AddSerializedFile(text_format.Parse(SCHEMA, FileDescriptorProto()).SerializeToString())
    return GetMessageClass(pool.FindMessageTypeByName("edgeseg.Example"))


def example_from(values: Mapping[str, bytes | int]) -> bytes:
    """Return a serialised Example of one value a key; the same bytes for the same values."""
    example = _example_class()()
    for key, value in values.items():
        feature = example.features.feature[key]
        (feature.bytes_list if isinstance(value, bytes) else feature.int64_list).value.append(value)
    serialised: bytes = example.SerializeToString(deterministic=True)
    return serialised


class Example:
    """The values of one record; `where` names it in messages."""

    def __init__(self, data: bytes, where: str) -> None:
        """Raises DataError if the data are no Example with features."""
        self.where = where
        try:
            self._features = _example_class().FromString(data).features.feature
        except DecodeError as error:
            raise self._no_example() from error
        if not self._features:
            raise self._no_example()

    def _no_example(self) -> DataError:
        return DataError(f"{self.where}: no tf.train.Example; expected one with an image and a mask: write it again")

    def bytes_of(self, key: str) -> bytes:
        """Return the one text of a key. Raises DataError."""
        return bytes(self._one(key, "bytes_list", "one text of bytes"))

    def number_of(self, key: str) -> int:
        """Return the one whole number of a key. Raises DataError."""
        return int(self._one(key, "int64_list", "one whole number"))

    def _one(self, key: str, kind: str, expected: str) -> Any:
        if key not in self._features:
            known = sorted(self._features)
            listed = ", ".join(known[:20])
            raise DataError(
                f"{self.where}: no key {key!r}{nearest(key, known)}; the record has: {listed}: name the keys with "
                f"image=KEY and mask=KEY"
            )
        values = getattr(self._features[key], kind).value
        if len(values) != 1:
            raise DataError(f"{self.where}: key {key!r} holds {len(values)} values of its kind; expected {expected}")
        return values[0]
