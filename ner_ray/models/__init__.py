"""Model files: where a checkpoint is, how its tokenizer reads a prompt, and how likely it finds an answer.

For everything that works with a model itself: the engines, the trainer, and whatever counts tokens.
"""
