"""Training data for open NER from raw text: pure functions, from passages to training rows."""
