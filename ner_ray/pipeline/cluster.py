"""Joins an existing Ray cluster, or starts one on this machine; checks that the engines fit."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray._private import services

from ner_ray.annotator.spec import Spec
from ner_ray.errors import ResourceError, StoppedError
from ner_ray.pipeline.placement import CPUS_BESIDE_ENGINES, Bundle, Node, bundles, missing

_LOG = logging.getLogger(__name__)

_LOCAL_OBJECT_STORE = 1024**3
_ADDRESS_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_LOG_SECONDS = 60.0


def connect(*, log_to_driver: bool = False) -> None:
    """Joins the cluster that `RAY_ADDRESS` names (so does `ray job submit`), else starts a local one.

    A local cluster listens on the loopback interface only and has no dashboard.

    Raises:
        ResourceError: there is no cluster at `RAY_ADDRESS`.
        StoppedError: a local cluster does not start.
    """
    if ray.is_initialized():
        return
    if address := os.environ.get("RAY_ADDRESS"):
        _check_address(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_worker_niceness", "0")  # otherwise workers, and so engines, yield to all other processes
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": log_to_driver}
    if not address:
        options |= {
            "address": "local",
            "num_cpus": _local_cpus(),
            "include_dashboard": False,
            "object_store_memory": _LOCAL_OBJECT_STORE,
            "_node_ip_address": "127.0.0.1",
        }
    _start(options, address)
    _take_back_sigterm()
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    _LOG.info("ray.connected nodes=%d", len(ray.nodes()))


def _start(options: dict[str, Any], address: str | None) -> None:
    try:
        with _no_stderr():
            ray.init(**options)
    except ConnectionError as error:
        raise ResourceError(
            f"there is no cluster to join at RAY_ADDRESS={address}",
            hint="start the cluster, or unset RAY_ADDRESS for a local one",
        ) from error
    except Exception as error:
        if type(error) is not Exception:  # which Ray raises if one of its processes does not start in time
            raise
        raise StoppedError(
            f"Ray does not start: {error}", hint="run the same command again when the machine is less busy"
        ) from error


def _take_back_sigterm() -> None:
    """Lets SIGTERM reach its Python handler alone.

    Ray's core puts a handler of its own in front, which prints the stack, and aborts the process if it still exists
    three seconds later. That is too short to stop the engines and to release the lease.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _check_address(address: str) -> None:
    """Refuses an address where nothing answers; Ray itself would wait for minutes without a message."""
    scheme, _, rest = address.rpartition("://")
    if scheme.startswith("http"):
        raise ResourceError(
            f"RAY_ADDRESS={address} accepts submitted jobs only; a driver cannot join it",
            hint="use `ray job submit`, or RAY_ADDRESS=auto on a machine of the cluster",
        )
    host, _, port = (rest if scheme else _found(address)).rpartition(":")
    if not port.isdecimal():  # `local`
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ADDRESS_SECONDS).close()
    except OSError as error:
        raise ResourceError(
            f"nothing answers at RAY_ADDRESS={address}: {error.strerror or error}",
            hint="start the cluster, or unset RAY_ADDRESS for a local one",
        ) from error


def _found(address: str) -> str:
    """The host and port that Ray would join, such as those of the cluster that `auto` finds; empty for `local`."""
    try:
        found = services.canonicalize_bootstrap_address(address)
        if found is None:
            return ""
        if found.rpartition(":")[2].isdecimal():
            return str(found)
    except (ConnectionError, ValueError):
        pass
    raise ResourceError(
        f"there is no cluster to join at RAY_ADDRESS={address!r}",
        hint="start the cluster, or unset RAY_ADDRESS for a local one",
    )


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Suppresses the greeting of Ray's core, which bypasses Python's loggers; errors are still raised."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def this_machine() -> Node:
    """This machine as a node, as a local cluster would have it; starts nothing."""
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    gpus, visible = manager.get_current_node_num_accelerators(), manager.get_current_process_visible_accelerator_ids()
    if visible is not None:
        gpus = min(gpus, len(visible))
    return {"Alive": True, "Resources": {"CPU": float(_local_cpus()), "GPU": float(gpus)}}


def _local_cpus() -> int:
    """The CPUs that a local cluster counts."""
    return (os.cpu_count() or 1) + CPUS_BESIDE_ENGINES


def engine_bundles(spec: Spec) -> list[Bundle]:
    """What Ray reserves for an engine of each pool, on the cluster as it is now."""
    return bundles(spec, ray.nodes())


def check_resources(spec: Spec) -> None:
    """Makes sure that the cluster can hold the initial engines; waits for nodes that autoscaling may bring.

    Raises:
        ResourceError: it cannot, not even after `resources.wait_seconds`; the message says what is missing.
    """
    wait = spec.config.resources.wait_seconds
    began = said = time.monotonic()
    while (lack := missing(engine_bundles(spec), ray.nodes())) and time.monotonic() - began < wait:
        if said == began or time.monotonic() - said >= _LOG_SECONDS:
            said = time.monotonic()
            _LOG.info("cluster.waiting seconds=%d for=%s", said - began, lack)
            _request(engine_bundles(spec))
        time.sleep(min(_LOOK_SECONDS, wait))
    if lack:
        raise ResourceError(
            lack,
            hint="lower resources.replicas, .gpus or .cpus, or join a larger cluster (RAY_ADDRESS); "
            "if it grows when it is asked: resources.wait_seconds=1800",
        )
    if said != began:
        _request([])


def _request(wanted: Sequence[Bundle]) -> None:
    """Tells the autoscaler what will be needed; engines that only wait to be placed would not be there yet."""
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=[bundle.resources for bundle in wanted for _ in range(bundle.count)])
