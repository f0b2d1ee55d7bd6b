"""The building blocks of model families.

    labels         from a label set to the names that a prompt offers, and from a name in an answer back to a label
    template       prompt templates as data, rendered in one pass
    answers        from an answer in any dialect to mentions with a verdict; uses most of the others
    thoughts       removes what a reasoning model thinks before it answers
    continuations  where an answer ends that runs on into further examples
    lists          a tolerant reader of JSON and Python lists, even broken ones
    records        which strings of a list are entities, and which are labels
    lines          answers in lines, bullets and tables
    questions      answers that repeat the questions
    prose          answers in sentences
    copies         copies of the passage with marks around the entities of one label
    languages      "nothing", "answer", "draft" in many languages, as data
    marks          entities marked in a copy of the text
    queries        one question per label, answered with a list of strings
    transcript     what every step does with answers: merge those to several prompts, decide on the verdict
    targets        what a perfect model would answer, and the gold that an answer cannot express

It is public, so that families in other packages can use it, too.
"""
