"""Everything on disks and object stores: input shards, and the run directory."""
