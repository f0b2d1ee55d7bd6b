"""What the tests of demonstrations share: example sentences, pools on disk, opened retrievers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from ner_ray.config import DemonstrationsConfig, IndexConfig
from ner_ray.retrieval import Selector, build_index, open_selector

ENGLISH = [
    ("Maria Keller opened a bakery in Graz last spring.", [("Maria Keller", "person"), ("Graz", "city")]),
    ("The ferry from Oslo to Kiel was late again.", [("Oslo", "city"), ("Kiel", "city")]),
    ("Novalis Pharma withdrew its drug Tremorex from the market.", [("Novalis Pharma", "company")]),
    ("In Graz, the bakery of Maria Keller sells rye bread.", [("Graz", "city"), ("Maria Keller", "person")]),
    ("Rain fell on the harbour of Kiel for nine days.", [("Kiel", "city")]),
    ("Aspirin and ibuprofen relieve a mild headache.", [("Aspirin", "drug"), ("ibuprofen", "drug")]),
    ("The mayor of Oslo praised the new tram line.", [("Oslo", "city")]),
    ("Nothing of note happened on Tuesday.", []),
    ("Tremorex was tested by Novalis Pharma in two trials.", [("Tremorex", "drug")]),
    ("A tram driver from Kiel won the lottery.", [("Kiel", "city")]),
]
CHINESE = [
    ("玛丽亚去年春天在格拉茨开了一家面包店。", [("玛丽亚", "人物"), ("格拉茨", "城市")]),
    ("从奥斯陆开往基尔的渡轮又晚点了。", [("奥斯陆", "城市"), ("基尔", "城市")]),
    ("这家制药公司从市场上撤回了新药。", []),
    ("奥斯陆市长称赞了新的电车线路。", [("奥斯陆", "城市")]),
    ("基尔港口连续下了九天雨。", [("基尔", "城市")]),
    ("阿司匹林可以缓解轻微的头痛。", [("阿司匹林", "药物")]),
]

Open = Callable[..., Selector]


def rows(sentences: Sequence[tuple[str, list[tuple[str, str]]]]) -> list[dict[str, Any]]:
    """Sentences as rows of a pool, with places."""
    return [
        {
            "id": f"e{number}",
            "text": text,
            "entities": [
                {"start": text.index(name), "end": text.index(name) + len(name), "text": name, "label": label}
                for name, label in entities
            ],
        }
        for number, (text, entities) in enumerate(sentences)
    ]


def write_pool(path: Path, content: Sequence[object]) -> str:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8")
    return str(path)


@pytest.fixture
def pool(tmp_path: Path) -> str:
    return write_pool(tmp_path / "pool.jsonl", rows(ENGLISH + CHINESE))


@pytest.fixture
def open_with(pool: str, tmp_path: Path) -> Open:
    """A selector over the sentences above, with whatever configuration is asked for."""
    output = str(tmp_path / "index")
    build_index(IndexConfig(pool=(pool,), output=output))

    def opened(**settings: Any) -> Selector:
        return open_selector(DemonstrationsConfig(index=output, **settings))

    return opened
