"""Which hosts train together, and which one this is. Without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgeseg.core.errors import UsageError
from edgeseg.core.json_text import parse_json

EXAMPLE = "for example --hosts 10.0.0.1:2222,10.0.0.2:2222 --index 0"


@dataclass(frozen=True)
class Cluster:
    """The hosts of a run, each `address:port` of a process, and this one's place among them; the first is the chief."""

    hosts: tuple[str, ...]
    index: int

    def __post_init__(self) -> None:
        for host in self.hosts:
            address, _, port = host.rpartition(":")
            if not (address and port.isdecimal() and 0 < int(port) < 65536):
                raise UsageError(f"host {host!r}; expected address:port, {EXAMPLE}")
        if len(set(self.hosts)) < len(self.hosts):
            raise UsageError(f"hosts {','.join(self.hosts)} name one twice; expected each once, {EXAMPLE}")
        if not 0 <= self.index < len(self.hosts):
            raise UsageError(
                f"index {self.index} of {len(self.hosts)} hosts; expected 0 to {len(self.hosts) - 1}: this host's place"
            )

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def find_cluster(hosts: str | None, index: int | None, environment: Mapping[str, str]) -> Cluster | None:
    """Return the cluster of the options, or else of TF_CONFIG, or None for this machine alone. Raises UsageError."""
    if (hosts is None) != (index is None):
        raise UsageError(f"--hosts and --index belong together; give both, {EXAMPLE}")
    if hosts is not None and index is not None:
        return _of_several(Cluster(tuple(host.strip() for host in hosts.split(",")), index))
    return _of_several(_from_tf_config(environment["TF_CONFIG"])) if environment.get("TF_CONFIG") else None


def _of_several(cluster: Cluster) -> Cluster | None:
    return cluster if len(cluster.hosts) > 1 else None


def _from_tf_config(text: str) -> Cluster:
    """Read TensorFlow's own form: a chief, if there is one, comes before the workers."""
    try:
        document = parse_json(text, "TF_CONFIG", "JSON")
        jobs, task = document["cluster"], document["task"]
        chiefs, workers = list(jobs.get("chief", [])), list(jobs.get("worker", []))
        place = int(task["index"]) + (len(chiefs) if task["type"] == "worker" else 0)
        if task["type"] not in ("chief", "worker"):
            raise ValueError(f"task type {task['type']}")
        return Cluster(tuple(str(host) for host in (*chiefs, *workers)), place)
    except (UsageError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"TF_CONFIG is {text[:100]!r} ({error!r}); expected "
            '{"cluster": {"worker": ["a:port", "b:port"]}, "task": {"type": "worker", "index": 0}}, or unset it'
        ) from error
