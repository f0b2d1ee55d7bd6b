"""Model families: how each model is prompted and how its answers are read."""
