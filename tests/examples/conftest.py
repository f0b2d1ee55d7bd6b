"""A local cluster for the examples that need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray

from ner_ray.pipeline.cluster import connect


@pytest.fixture(scope="package")
def cluster() -> Iterator[None]:
    connect()
    yield
    ray.shutdown()
