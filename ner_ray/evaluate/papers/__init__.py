"""The scorers of published systems, one per file, each reproducing the results of the released code.

Their scores are not comparable: each scorer forgives different errors, as its file describes. Such a score is always
named after its scorer.
"""
