"""Scores of predictions against gold: our own span scores, and the published systems' own scorers."""
