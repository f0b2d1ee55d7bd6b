"""Open named entity recognition over very large corpora."""

__version__ = "0.1.0"
