"""Actors that keep a record for all workers of a run, which is of use, but not needed: a run goes on without them."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NO_BOOK = (ray.exceptions.RayActorError, ray.exceptions.ActorUnschedulableError)
"""The errors of a call to a book that cannot be asked."""

_HEAD = "node:__internal_head__"  # a resource of the head node alone


def start_book(kind: type, *arguments: Any) -> Any:  # Ray's handle of an actor has no type
    """Starts a book on the head node, which is there as long as the cluster is.

    If its process dies, Ray starts it again, with the same arguments, and repeats the calls; what it had recorded is
    lost.
    """
    nodes = ray.nodes() if ray.is_initialized() else []
    heads = [node["NodeID"] for node in nodes if node["Alive"] and _HEAD in node["Resources"]]
    where = NodeAffinitySchedulingStrategy(heads[0], soft=False) if heads else "DEFAULT"
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(kind)
    return actor.options(scheduling_strategy=where).remote(*arguments)


def ask_book(reference: Any) -> Any:  # Ray's reference, and what the book answers
    """What a book answers; None if it cannot be asked."""
    try:
        return ray.get(reference)
    except NO_BOOK:
        return None
