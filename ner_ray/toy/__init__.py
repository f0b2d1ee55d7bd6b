"""Data of the recipe `train/starter-smoke`: invented names in short sentences, as training rows and as gold."""
