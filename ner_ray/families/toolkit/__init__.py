"""What a model family is built from; public, for families of other packages too.

labels      from a label set to the names that a prompt offers, and from a name in an answer back to a label
template    prompt templates as data, rendered in one pass
lists       a tolerant reader of JSON, Python and Markdown lists
marks       entities marked in a copy of the text
queries     one question per label, answered with a list of strings
transcript  what every step does: join samples, settle verdicts, play the ideal conversation
"""
