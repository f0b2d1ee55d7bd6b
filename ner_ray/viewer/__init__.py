"""Documents with their entities, to page through and search in a browser, however many they are.

documents   what a page knows of one document
index       which documents have which label, score, status and error, in a few bytes each
search      which documents can contain a text, without reading them
pages       all of a page's data, document by document, in parts of bounded size
places      where the parts go: into the page itself, or into files beside it
templates   the page, which loads the parts that it shows
"""
