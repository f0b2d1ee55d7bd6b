"""Training data for open NER out of raw text: the pure functions, from passages to the rows that trainers read."""
