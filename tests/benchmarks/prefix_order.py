"""Whether the prefix cache gains from sending texts with the same demonstrations one after the other.

Demonstrations precede the text, so prompts with the same first demonstrations share a prefix. The same prompts are sent
to an engine with an empty cache, several blocks at once as in the job: in the order of their documents, and with the
rows of each block sorted by their demonstrations. The engine reports how many tokens its cache supplied.

There is no gain, so the job keeps the order: with examples of WikiGold for 1,500 tweets, the cache held 45.5 % of the
prompt tokens in the original order and 45.8 % when sorted; with a cache of 60,000 tokens, 40.6 % and 39.4 %. What
prompts share beyond their instructions is mostly still cached while their block is in flight.

    python tests/benchmarks/prefix_order.py --pool annotated.parquet --texts corpus.parquet --model MODEL
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence

import pyarrow.parquet as pq

from ner_ray.annotator.spec import family_steps
from ner_ray.config import DemonstrationsConfig, IndexConfig, SamplingConfig
from ner_ray.config.labels import parse
from ner_ray.engines import vllm
from ner_ray.pipeline.index import index
from ner_ray.retrieval import open_selector, select
from ner_ray.types import Prompt, StepInput

BLOCK_ROWS = 128
BLOCKS_AT_ONCE = 4
BLOCK_TOKENS = 32  # tokens per block of the engine's cache


def texts_of(path: str, column: str, count: int) -> list[str]:
    texts = pq.read_table(path, columns=[column])[column].to_pylist()
    return [text[:600] for text in texts if text][:count]


def prompts_of(
    texts: Sequence[str], pool: str, k: int, order: str, family: str
) -> list[tuple[tuple[str, ...], Prompt]]:
    """The ids of each text's demonstrations, and its first prompt."""
    with tempfile.TemporaryDirectory() as folder:
        index(IndexConfig(pool=(pool,), output=f"{folder}/index"))
        selector = open_selector(DemonstrationsConfig(index=f"{folder}/index", k=k, order=order))
        chosen, _ = select(selector, texts)
    (step, *_) = family_steps({"name": family})
    labels = parse(["person", "location", "organization"])
    return [
        (tuple(demonstration.example_id for demonstration in shown), step.ask(StepInput(text, labels, shown), ())[0])
        for text, shown in zip(texts, chosen, strict=True)
    ]


async def ask(engine: vllm.VllmEngine, blocks: Sequence[Sequence[Prompt]]) -> tuple[int, int]:
    """The number of prompt tokens, and how many of them were cached."""
    sampling, places, counted = SamplingConfig(max_tokens=8, logprobs=False), asyncio.Semaphore(BLOCKS_AT_ONCE), [0, 0]

    async def one(prompt: Prompt) -> None:
        for completion in await engine.generate(prompt, sampling):
            counted[0] += completion.prompt_tokens
            counted[1] += completion.cached_tokens

    async def block(prompts: Sequence[Prompt]) -> None:
        async with places:
            await asyncio.gather(*map(one, prompts))

    await asyncio.gather(*map(block, blocks))
    return counted[0], counted[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", required=True, help="annotated examples, as for `ner-ray index`")
    parser.add_argument("--texts", required=True, help="a Parquet file of texts to annotate")
    parser.add_argument("--column", default="text", help="the column with the texts")
    parser.add_argument("--count", type=int, default=2000, help="number of texts")
    parser.add_argument("--k", type=int, default=2, help="demonstrations per text")
    parser.add_argument("--order", default="nearest_first", help="order of the demonstrations in a prompt")
    parser.add_argument("--family", default="instruct")
    parser.add_argument("--model", required=True)
    parser.add_argument("--max-model-len", type=int, default=2048)
    parser.add_argument(
        "--cache", type=int, nargs="*", default=[0, 100_000], help="its size in tokens; 0: the engine's"
    )
    arguments = parser.parse_args()
    texts = texts_of(arguments.texts, arguments.column, arguments.count)
    asked = prompts_of(texts, arguments.pool, arguments.k, arguments.order, arguments.family)
    blocks = [asked[start : start + BLOCK_ROWS] for start in range(0, len(asked), BLOCK_ROWS)]
    arranged = {
        "as they come": blocks,
        "by their examples": [sorted(block, key=lambda row: row[0]) for block in blocks],
    }
    for size in arguments.cache:
        held = {"num_gpu_blocks_override": size // BLOCK_TOKENS} if size else {}
        for name, rows in arranged.items():
            extra = {"block_size": BLOCK_TOKENS, **held}
            config = vllm.Options(model=arguments.model, max_model_len=arguments.max_model_len, extra=extra)
            engine = vllm.create(config)
            began = time.perf_counter()
            tokens, cached = asyncio.run(ask(engine, [[prompt for _, prompt in block] for block in rows]))
            seconds = time.perf_counter() - began
            engine.close()
            held_tokens = f"{size:,}" if size else "the engine's"
            print(
                f"cache {held_tokens}, {name:17}: {cached / tokens:6.1%} of {tokens} tokens cached, {seconds:.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
