"""Other forms of a run: one file each."""
