"""The retrievers, one per file; `ner_ray.retrieval.base` says what such a file defines."""
