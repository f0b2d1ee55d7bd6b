"""What holds for all formats that ship: any store, and failed documents that are told from empty ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from ner_ray import plugins
from ner_ray.export.base import NO_CONTEXT
from ner_ray.types import Annotation, Document, DocumentStatus
from tests.export.test_contract import CONTEXT, DOCUMENTS

every_format = pytest.mark.parametrize("name", plugins.names("export"))


@every_format
def test_failed_documents_are_counted(name: str, tmp_path: Path):
    assert plugins.load("export", name).write(iter(DOCUMENTS), tmp_path / "out", CONTEXT).failed == 1


@every_format
def test_a_file_may_be_on_any_store(name: str):
    """`memory://` is a store that nothing but fsspec knows."""
    import fsspec

    plugins.load("export", name).write(iter(DOCUMENTS), f"memory://exports/{name}/out.json", CONTEXT)

    assert fsspec.filesystem("memory").size(f"/exports/{name}/out.json") > 0


@every_format
def test_documents_that_failed_do_not_look_like_documents_without_entities(name: str, tmp_path: Path):
    """In the file itself: what is written for a failed document differs from what is written for an empty one."""
    write = plugins.load("export", name).write
    for status in (DocumentStatus.OK, DocumentStatus.FAILED):
        write([(Document("d", "Ann left", ()), Annotation((), status=status))], tmp_path / status.value, NO_CONTEXT)

    assert (tmp_path / "ok").read_bytes() != (tmp_path / "failed").read_bytes()
