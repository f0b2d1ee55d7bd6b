"""A page to type a text into and see what a configuration finds in it, served from this machine.

server      who may ask, and what is answered
typed       what people type: label sets
shown       what the page shows of an annotation, and how the same is asked from Python and the command line
templates   the page
"""
