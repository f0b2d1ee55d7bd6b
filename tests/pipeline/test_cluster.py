"""Where there is no cluster, `RAY_ADDRESS` is refused at once; Ray itself would wait, or show a traceback."""

from __future__ import annotations

import ctypes
import signal
import sys

import pytest
import ray
from ray._private import services
from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager

from ner_ray.errors import EXIT_STOPPED, ResourceError, StoppedError
from ner_ray.pipeline.cluster import connect, this_machine


@pytest.mark.parametrize("address", ["auto", " ", "head-of-nothing", "127.0.0.1:", "127.0.0.1:9", "ray://127.0.0.1:9"])
@pytest.mark.parametrize("left_behind", [None, "127.0.0.1:9"])
def test_an_address_without_a_cluster_is_refused(
    address: str, left_behind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was started"))
    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.setattr(services, "find_bootstrap_address", lambda _: left_behind)
    monkeypatch.setenv("RAY_ADDRESS", address)

    with pytest.raises(ResourceError, match="RAY_ADDRESS"):
        connect()


def test_this_machine_has_the_gpus_that_ray_would_find(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.resource_and_label_spec import ResourceAndLabelSpec

    for there, visible in ((0, None), (4, None), (4, "0,2"), (4, "")):
        monkeypatch.setattr(NvidiaGPUAcceleratorManager, "get_current_node_num_accelerators", lambda there=there: there)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

        found = ResourceAndLabelSpec(object_store_memory=1).resolve(is_head=True)

        assert this_machine()["Resources"]["GPU"] == (found.num_gpus or 0)


def test_a_local_cluster_that_does_not_start_in_time_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that is busy with other work."""

    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")  # noqa: TRY002  # as Ray does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)

    with pytest.raises(StoppedError, match="timed out during startup") as stopped:
        connect()

    assert stopped.value.exit_status == EXIT_STOPPED


def test_sigterm_reaches_its_python_handler_whatever_rays_core_puts_in_front(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The core's handler, which Python knows nothing of, aborts the driver after three seconds."""
    set_in_c = ctypes.CDLL(None).signal
    set_in_c.argtypes, set_in_c.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    ignore = 1  # SIG_IGN
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "nodes", list)
    monkeypatch.setattr(ray, "init", lambda **_: set_in_c(signal.SIGTERM, ignore))
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))

    try:
        connect()
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
