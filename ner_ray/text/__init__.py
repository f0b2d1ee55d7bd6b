"""Text and its pieces: tokens, sentences, chunks, and normal forms that remember where they came from."""
