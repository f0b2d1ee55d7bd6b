"""Open named entity recognition over very large corpora.

    import ner_ray

    annotator = ner_ray.Annotator("annotate/demo", labels=["person", "place"])
    annotator("Marie Curie grew up in Warsaw.").entities

    table = ner_ray.annotate(table, "annotate/demo", labels=["person", "place"])   # of pandas, Arrow, datasets, Ray
    ner_ray.open_run("runs/news")                                                  # what a job has committed

Names are imported when they are first used, so that `import ner_ray` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ner_ray.annotator.annotator import Annotator
    from ner_ray.annotator.result import AnnotatedDocument
    from ner_ray.config import AnnotateConfig
    from ner_ray.errors import (
        ConfigError,
        EngineError,
        ErrorCode,
        InputError,
        MissingExtraError,
        ModelError,
        NerRayError,
        ResourceError,
        RunError,
    )
    from ner_ray.frames import annotate
    from ner_ray.store.run import open_run
    from ner_ray.types import (
        Annotation,
        Chunk,
        Demonstration,
        DocumentStatus,
        Entity,
        ErrorRecord,
        Label,
        Mention,
        SpanStatus,
        Usage,
    )

__version__ = "0.1.0"

_HOMES = {
    "ner_ray.annotator.annotator": ("Annotator",),
    "ner_ray.annotator.result": ("AnnotatedDocument",),
    "ner_ray.config": ("AnnotateConfig",),
    "ner_ray.errors": (
        "ConfigError",
        "EngineError",
        "ErrorCode",
        "InputError",
        "MissingExtraError",
        "ModelError",
        "NerRayError",
        "ResourceError",
        "RunError",
    ),
    "ner_ray.frames": ("annotate",),
    "ner_ray.store.run": ("open_run",),
    "ner_ray.types": (
        "Annotation",
        "Chunk",
        "Demonstration",
        "DocumentStatus",
        "Entity",
        "ErrorRecord",
        "Label",
        "Mention",
        "SpanStatus",
        "Usage",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnnotateConfig",
    "AnnotatedDocument",
    "Annotation",
    "Annotator",
    "Chunk",
    "ConfigError",
    "Demonstration",
    "DocumentStatus",
    "EngineError",
    "Entity",
    "ErrorCode",
    "ErrorRecord",
    "InputError",
    "Label",
    "Mention",
    "MissingExtraError",
    "ModelError",
    "NerRayError",
    "ResourceError",
    "RunError",
    "SpanStatus",
    "Usage",
    "__version__",
    "annotate",
    "open_run",
]


def __getattr__(name: str) -> Any:  # whatever the name stands for
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ner_ray' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
