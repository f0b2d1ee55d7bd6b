"""One file a retriever; `ner_ray.retrieval.base` says what it holds."""
