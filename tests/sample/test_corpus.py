"""The sample corpus that ships with the package."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ner_ray.sample import build

SHARDS = sorted(build.FOLDER.glob("*.parquet"))
LONG = 20_000


@pytest.fixture(scope="module")
def corpus() -> list[dict[str, str]]:
    return pa.concat_tables(pq.read_table(shard) for shard in SHARDS).to_pylist()


def test_the_shards_hold_what_the_sources_say(tmp_path: Path):
    """Whoever edits a source and forgets to build the shards hears of it here."""
    rebuilt = build.build(tmp_path)

    assert [shard.name for shard in rebuilt] == [shard.name for shard in SHARDS]
    for fresh, shipped in zip(rebuilt, SHARDS, strict=True):
        assert pq.read_table(fresh).equals(pq.read_table(shipped)), f"{shipped.name}: build it again"


def test_the_corpus_is_as_large_and_as_mixed_as_we_say(corpus):
    short = [document for document in corpus if len(document["text"]) < LONG]

    assert len(short) >= 60
    assert len(corpus) - len(short) == 3
    assert {"en", "zh", "de", "es", "ja"} == {document["lang"] for document in short}
    assert min(Counter(document["lang"] for document in short).values()) >= 10
    assert {"news", "encyclopaedia", "mail", "minutes", "review", "science"} <= {
        document["genre"] for document in short
    }


def test_short_documents_are_a_paragraph_or_two(corpus):
    for document in corpus:
        size = len(document["text"]) if document["lang"] in {"zh", "ja"} else len(document["text"].split())

        assert len(document["text"]) >= LONG or 40 <= size <= 250, document["id"]


def test_ids_are_unique_and_no_two_texts_are_the_same(corpus):
    assert len({document["id"] for document in corpus}) == len(corpus)
    assert len({document["text"] for document in corpus}) == len(corpus)


@pytest.mark.parametrize(
    "difficulty",
    ["“", "»", "（", "ＡＢ－２０", "🏔️", "https://", "Salz-\nburg", "محمود درويش", "“知了Ⅱ”", "—", "\n\n"],
)
def test_what_makes_alignment_hard_occurs(corpus, difficulty):
    assert any(difficulty in document["text"] for document in corpus)


def test_some_surfaces_stand_for_two_kinds_of_things_in_one_document(corpus):
    by_id = {document["id"]: document["text"] for document in corpus}

    assert by_id["en-007"].count("Washington") >= 6
    assert by_id["en-013"].count("Jordan") >= 4
    assert by_id["zh-007"].count("长安") >= 8


def test_a_source_with_a_wrong_column_is_refused(tmp_path: Path):
    source = tmp_path / "xx.yaml"
    source.write_text("- {id: xx-1, title: T, lang: xx, genre: news, txet: oops}\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"xx\.yaml: xx-1 has .*txet"):
        build.read(source)
