"""The progress display of a run."""

from __future__ import annotations

from ner_ray.pipeline.progress import Progress


def test_a_document_counts_when_it_is_answered_though_it_is_read_and_written_later() -> None:
    progress = Progress(None, total=10, done=2)

    assert progress.figures({"answered": 3})["documents"] == "5/10"
    assert progress.figures({"answered": 3, "documents": 4})["documents"] == "6/10"


def test_documents_that_were_answered_twice_because_an_engine_died_are_counted_once() -> None:
    assert Progress(None, total=10, done=2).figures({"answered": 11, "documents": 8})["documents"] == "10/10"


def test_it_says_so_while_no_engine_has_started() -> None:
    progress = Progress(None, total=10)

    assert progress.figures({})["eta"] == "starting"
    assert progress.figures({"engines": 1})["eta"] == "-"
