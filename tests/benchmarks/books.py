"""What the books of suspects cost for a block of rows: the time of who waits, and the CPU time of the actor.

python tests/benchmarks/books.py [--blocks 2000] [--in-flight 8]
"""

from __future__ import annotations

import argparse
import asyncio
import time

import ray

from ner_ray.pipeline.cluster import connect
from ner_ray.pipeline.suspects import Record, start_suspects

ROWS = 64


async def blocks(record: Record, number: int, in_flight: int) -> None:
    """Enters and leaves with some blocks at a time, as an engine does."""
    room = asyncio.Semaphore(in_flight)

    async def block(at: int) -> None:
        async with room:
            rows = list(range(at * ROWS, (at + 1) * ROWS))
            await record.note("enter", rows)
            record.send("leave", rows)

    await asyncio.gather(*map(block, range(number)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=8)
    arguments = parser.parse_args()
    connect()
    book = start_suspects()
    asyncio.run(blocks(Record(book, 0), 50, arguments.in_flight))
    spent = ray.get(book.__ray_call__.remote(lambda _: time.process_time()))
    began, own = time.perf_counter(), time.process_time()
    asyncio.run(blocks(Record(book, 0), arguments.blocks, arguments.in_flight))
    of_actor = ray.get(book.__ray_call__.remote(lambda _: time.process_time())) - spent
    for what, seconds in (
        ("wall", time.perf_counter() - began),
        ("CPU of the engine's process", time.process_time() - own),
        ("CPU of the actor", of_actor),
    ):
        print(f"{1000 * seconds / arguments.blocks:6.3f} ms a block: {what}")


if __name__ == "__main__":
    main()
