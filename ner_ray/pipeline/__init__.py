"""The job on Ray: the only place, with `train`, that imports it."""
