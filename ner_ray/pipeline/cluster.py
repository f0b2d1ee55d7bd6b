"""Joins the Ray cluster at hand, or starts one on this machine."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from ner_ray.config import ResourceConfig
from ner_ray.errors import ResourceError

_LOG = logging.getLogger(__name__)

_CPUS_BESIDE_ENGINES = 2  # logical: for reading and writing
_LEAST_CPUS = 0.5  # of an engine
_LOCAL_OBJECT_STORE = 1024**3
_ADDRESS_SECONDS = 5.0


def connect(*, log_to_driver: bool = False) -> None:
    """Joins the cluster that `RAY_ADDRESS` names (so does `ray job submit`), else starts a local one.

    The local one listens on loopback only, and shows no dashboard.

    Raises:
        ResourceError: there is no cluster where `RAY_ADDRESS` points.
    """
    if ray.is_initialized():
        return
    if address := os.environ.get("RAY_ADDRESS"):
        _check_address(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else workers, engines among them, yield to everything else
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": log_to_driver}
    if not address:
        options |= {
            "address": "local",
            "num_cpus": (os.cpu_count() or 1) + _CPUS_BESIDE_ENGINES,
            "include_dashboard": False,
            "object_store_memory": _LOCAL_OBJECT_STORE,
            "_node_ip_address": "127.0.0.1",
        }
    try:
        with _no_stderr():
            ray.init(**options)
    except ConnectionError as error:
        raise ResourceError(
            f"there is no cluster to join at RAY_ADDRESS={address}",
            hint="start the cluster, or unset RAY_ADDRESS for a local one",
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _LOG.info("ray.connected nodes=%d", len(ray.nodes()))


def _check_address(address: str) -> None:
    """Ray itself would wait for minutes, and say nothing."""
    scheme, _, rest = address.rpartition("://")
    if scheme.startswith("http"):
        raise ResourceError(
            f"RAY_ADDRESS={address} takes jobs and is no cluster to join",
            hint="`ray job submit`, or RAY_ADDRESS=auto on a machine of the cluster",
        )
    host, _, port = rest.rpartition(":")
    if not port.isdecimal():  # `auto` and `local`
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ADDRESS_SECONDS).close()
    except OSError as error:
        raise ResourceError(
            f"nothing answers at RAY_ADDRESS={address}: {error.strerror or error}",
            hint="start the cluster, or unset RAY_ADDRESS for a local one",
        ) from error


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Keeps Ray's core, which writes past Python's loggers, from greeting; what goes wrong is raised all the same."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def engine_cpus(resources: ResourceConfig, pools: int) -> float:
    """The CPUs of one engine, as configured or, without a GPU, its even share of the smallest machine at hand.

    Ray lets an actor have as many OpenMP threads as CPUs (one where it has less than one), and a CPU engine is as fast
    as its threads.
    """
    if resources.cpus is not None:
        return resources.cpus
    if resources.gpus:
        return 1.0
    machines = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    engines_a_machine = math.ceil(resources.replicas * pools / len(machines))
    share = (min(machines) - _CPUS_BESIDE_ENGINES) // engines_a_machine
    # Where there is no whole CPU for each, they share what leaves one for reading and writing.
    return float(share) if share >= 1 else min(1.0, max(_LEAST_CPUS, (min(machines) - 1) / engines_a_machine))


def check_resources(resources: ResourceConfig, pools: int) -> None:
    """Makes sure that the cluster can hold the engines that the configuration asks for at the start.

    Raises:
        ResourceError: says what is asked for and what there is.
    """
    have = ray.cluster_resources()
    engines = resources.replicas * pools
    if not engines:
        return
    wanted = {
        "GPU": engines * resources.gpus * resources.tensor_parallel,
        "CPU": engines * engine_cpus(resources, pools) + 1,
    }
    for kind, amount in wanted.items():
        if amount > have.get(kind, 0):
            raise ResourceError(
                f"{engines} engine{'s need' if engines > 1 else ' needs'} {amount:g} {kind}s, "
                f"the cluster has {have.get(kind, 0):g}",
                hint="lower resources.replicas, .gpus or .cpus, or join a larger cluster (RAY_ADDRESS)",
            )
