"""One file a retriever; `ner_ray.demos.base` says what it holds."""
