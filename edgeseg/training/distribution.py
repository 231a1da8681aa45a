"""One loop for one device, several GPUs and several hosts: what of it depends on how many there are."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from edgeseg.core.errors import EngineError, UsageError
from edgeseg.tf import first_line, tf
from edgeseg.training.cluster import Cluster
from edgeseg.training.settings import TrainSettings

LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


class HostConsensus(NamedTuple):
    """What all hosts must agree on before each step.

    Attributes:
        stop: someone asked one of them to stop.
        over: the chief has ended the run early.
        seconds: of training so far.
    """

    stop: bool
    over: bool
    seconds: float


class Distribution:
    """The replicas of the model that train together, on this machine's devices and on other hosts.

    Every replica works on its part of one batch, and holds the same weights. Make variables within `scope()`.
    """

    def __init__(self, strategy: Any, cluster: Cluster | None = None) -> None:
        self.strategy, self.cluster = strategy, cluster
        self.replicas: int = strategy.num_replicas_in_sync
        self.is_chief = cluster is None or cluster.is_chief

    @classmethod
    def open(cls, cluster: Cluster | None = None, devices: Sequence[str] = ()) -> Distribution:
        """Use the hosts of `cluster`, or else the given devices, or else all GPUs, or else the CPU.

        Raises:
            UsageError: this host's port cannot be used.
            EngineError: the other hosts do not come.
        """
        if cluster:
            _check_port(cluster.hosts[cluster.index])
            return cls(_strategy_of_hosts(cluster), cluster)
        devices = devices or [gpu.name for gpu in tf.config.list_logical_devices("GPU")]
        if len(devices) > 1:
            return cls(tf.distribute.MirroredStrategy(list(devices)))
        return cls(tf.distribute.get_strategy())

    def scope(self) -> Any:
        return self.strategy.scope()

    def check_settings(self, settings: TrainSettings) -> None:
        """Raise UsageError for settings that several replicas cannot have."""
        if settings.batch % self.replicas:
            fitting = -(-settings.batch // self.replicas) * self.replicas
            raise UsageError(
                f"batch {settings.batch} for {self.replicas} devices; expected a multiple, such as {fitting}"
            )
        if settings.xla and self.replicas > 1:
            raise UsageError(f"xla with {self.replicas} devices; expected one: train without --xla")

    def parts(self, batch: Any) -> Any:
        """Give each of this host's replicas its part of a batch, (B, ...), of which every host has the whole."""
        if self.replicas == 1:
            return batch

        def part(context: Any) -> Any:
            pictures = batch.shape[0] // self.replicas
            first = context.replica_id_in_sync_group * pictures
            return batch[first : first + pictures]

        return self.strategy.experimental_distribute_values_from_function(part)

    def first(self, values: Any) -> Any:
        """Return what this host's first replica has: of what is the same in all, the value."""
        return self.strategy.experimental_local_results(values)[0]

    def total(self, x: Any) -> Any:
        """Return the sum of a tensor over all replicas, in a replica; its gradient is that of this replica's part.

        So gradients summed over the replicas are those of one replica with the whole batch.
        """
        if self.replicas == 1:
            return x
        return x + tf.stop_gradient(tf.distribute.get_replica_context().all_reduce("SUM", x) - x)

    def summed(self, tensors: list[Any]) -> list[Any]:
        """Return gradients summed over all replicas, in a replica."""
        if self.replicas == 1:
            return tensors
        summed: list[Any] = tf.distribute.get_replica_context().all_reduce("SUM", tensors)
        return summed

    def agree(self, own: HostConsensus) -> HostConsensus:
        """Return what holds for all hosts: one's wish to stop, the chief's end, the mean of their clocks."""
        if self.cluster is None:
            return own
        stops, overs, seconds = self._over_hosts([own.stop, own.over and self.is_chief, own.seconds])
        return HostConsensus(bool(stops.any()), bool(overs.any()), float(seconds.mean()))

    def check_same(self, marks: dict[str, int]) -> None:
        """Raise UsageError, naming what, unless all hosts have the same numbers: a mark of their settings, data, ..."""
        if self.cluster is None:
            return
        for name, values in zip(marks, self._over_hosts(list(marks.values())), strict=True):
            if len(set(values)) > 1:
                raise UsageError(f"the hosts do not have the same {name}; give all of them the same, and one --out")

    def _over_hosts(self, values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return each value as every host has it, (values, hosts)."""
        assert self.cluster
        mine = np.zeros((len(values), len(self.cluster.hosts)))
        mine[:, self.cluster.index] = values
        sums = self._sum(self.strategy.experimental_distribute_values_from_function(self._once(mine)))
        return np.asarray(sums)

    def _once(self, mine: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
        local = self.replicas // len(self.cluster.hosts) if self.cluster else 1

        def value(context: Any) -> Any:
            return tf.constant(mine if context.replica_id_in_sync_group % local == 0 else np.zeros_like(mine))

        return value

    @tf.function  # type: ignore[untyped-decorator]
    def _sum(self, values: Any) -> Any:
        def reduced(x: Any) -> Any:
            on_its_device = tf.identity(x)  # an argument has none, and the sum asks for it
            return tf.distribute.get_replica_context().all_reduce("SUM", on_its_device)

        return self.first(self.strategy.run(reduced, args=(values,)))

    @contextmanager
    def translate_host_errors(self, how_to_go_on: str) -> Iterator[None]:
        """Turn TensorFlow's errors about a host that is gone into one line. Raises EngineError."""
        try:
            yield
        except LOST as error:
            if not self.cluster:
                raise
            raise EngineError(
                f"another of the {len(self.cluster.hosts)} hosts is gone ({first_line(error)}); {how_to_go_on}"
            ) from error


def check_gpu() -> None:
    """Raise UsageError if TensorFlow has no GPU."""
    if not tf.config.list_physical_devices("GPU"):
        raise UsageError(
            "TensorFlow finds no GPU, and --require-gpu was given; install the driver and "
            "pip install 'edgeseg[train-gpu]', or train without --require-gpu"
        )


def _check_port(host: str) -> None:
    port = int(host.rpartition(":")[2])
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise UsageError(
                f"port {port} of this host ({host}) cannot be used ({os.strerror(error.errno or 0)}); free it, "
                f"or name another in --hosts"
            ) from error


def _strategy_of_hosts(cluster: Cluster) -> Any:
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.hosts)}),
        task_type="worker",
        task_id=cluster.index,
        rpc_layer="grpc",
    )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        raise EngineError(
            f"the {len(cluster.hosts)} hosts do not find each other ({first_line(error)}); start edgeseg train on each "
            f"with the same --hosts {','.join(cluster.hosts)} and its own --index, and open their ports"
        ) from error
