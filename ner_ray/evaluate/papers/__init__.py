"""The scorers of published systems, one a file, each giving what the released code gives.

They are not on one scale: each forgives other things, which its file says. A score of theirs is always
named after its scorer.
"""
