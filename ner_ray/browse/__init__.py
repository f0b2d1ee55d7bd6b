"""A run in a browser, read as it is looked at, and while it grows.

run      what is committed now, and the parts of a page on it, each read when it is asked for
server   who asks for them
"""
