"""The job on Ray. Only this package and `train` import Ray."""
