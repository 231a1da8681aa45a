"""Who trains together: options and TF_CONFIG."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgeseg.core.errors import UsageError
from edgeseg.training.cluster import Cluster, find_cluster


def tf_config(cluster: dict[str, Any], kind: str, index: int) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


def test_options_come_before_tf_config_and_one_host_is_no_cluster() -> None:
    environment = tf_config({"worker": ["c:1", "d:1"]}, "worker", 0)
    assert find_cluster("a:1, b:2", 1, environment) == Cluster(("a:1", "b:2"), 1)
    assert find_cluster(None, None, environment) == Cluster(("c:1", "d:1"), 0)
    assert find_cluster(None, None, tf_config({"chief": ["a:1"], "worker": ["b:1"]}, "worker", 0)) == Cluster(
        ("a:1", "b:1"), 1
    )
    assert find_cluster(None, None, {}) is find_cluster("a:1", 0, {}) is None


@pytest.mark.parametrize(
    ("hosts", "index", "environment", "expected"),
    [
        ("a:1,b:1", None, {}, "--hosts and --index belong together"),
        (None, 0, {}, "--hosts and --index belong together"),
        ("a:1,b:1", 2, {}, "index 2 of 2 hosts; expected 0 to 1"),
        ("a:1,b", 0, {}, "host 'b'; expected address:port"),
        ("a:1,b:70000", 0, {}, "host 'b:70000'"),
        ("a:1,a:1", 0, {}, "name one twice"),
        (None, None, {"TF_CONFIG": "{"}, "TF_CONFIG is '{'"),
        (None, None, {"TF_CONFIG": "[]"}, "TF_CONFIG is"),
        (None, None, tf_config({"worker": ["a:1", "b:1"], "ps": ["c:1"]}, "ps", 0), "task type ps"),
    ],
)
def test_what_is_no_cluster(hosts: str | None, index: int | None, environment: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected) as caught:
        find_cluster(hosts, index, environment)
    assert "\n" not in str(caught.value)
