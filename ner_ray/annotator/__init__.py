"""The core of the system, without Ray, files or runs: a text in, its annotation out."""
