"""A small corpus to try things on: news, mail, minutes, reviews and more, in five languages, written for this project.

The Parquet shards beside this file are what is read; the YAML files in `sources/` are what is edited.
`python -m ner_ray.sample.build` makes the one from the other. All of it is under the project's own licence,
Apache-2.0. People, firms and events are invented unless they are well known.
"""
