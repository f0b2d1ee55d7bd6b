"""What is shown while a run is on."""

from __future__ import annotations

from ner_ray.pipeline.progress import Progress


def test_a_document_counts_when_it_is_answered_though_it_is_read_and_written_later() -> None:
    progress = Progress(None, total=10, done=2)

    assert progress.figures({"answered": 3})["documents"] == "5/10"
    assert progress.figures({"answered": 3, "documents": 4})["documents"] == "6/10"


def test_documents_that_were_answered_twice_since_an_engine_died_are_not_more_than_there_are() -> None:
    assert Progress(None, total=10, done=2).figures({"answered": 11, "documents": 8})["documents"] == "10/10"


def test_before_an_engine_has_started_it_says_so() -> None:
    progress = Progress(None, total=10)

    assert progress.figures({})["eta"] == "starting"
    assert progress.figures({"engines": 1})["eta"] == "-"
