"""Model families: each says how a model wants to be asked and how its answers are read."""
