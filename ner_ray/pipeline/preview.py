"""What the model is asked about a few documents, what it answers, and what is made of that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from ner_ray.config import AnnotateConfig
from ner_ray.errors import ConfigError, InputError
from ner_ray.pipeline.trial import annotate_apart, draw, what_is_left
from ner_ray.schema import ROW_ID, TEXT
from ner_ray.store.run import RunDirectory


def preview(config: AnnotateConfig, documents: int = 3, seed: int = 0, characters: int = 2000) -> list[dict[str, Any]]:
    """Annotates documents from all over the input, and keeps nothing.

    Args:
        config: the job's; what its run directory holds already makes no difference.
        documents: how many, at most.
        seed: of the draw.
        characters: of each text, from its beginning.

    Returns:
        Rows of the job's output with `text`, `chunks` and `exchanges`, prompts and all.

    Raises:
        NerRayError: as `annotate` does.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fresh = config.output.model_copy(update={"path": str(folder / "nothing-yet")})
        work = what_is_left(config.model_copy(update={"output": fresh}))
        if work.spec.replays:
            raise ConfigError("the engine replay asks no model", hint="preview with the engine that will answer")
        table = draw(work, documents, seed)
        if not table.num_rows:
            raise InputError("the input has no documents")
        begun = pc.utf8_slice_codeunits(table[TEXT], 0, characters)
        table = table.set_column(table.column_names.index(TEXT), TEXT, begun)
        annotate_apart(config, table, folder, keep_all=True)
        rows: list[dict[str, Any]] = RunDirectory(str(folder / "run")).dataset().sort_by(ROW_ID).to_table().to_pylist()
        return rows
