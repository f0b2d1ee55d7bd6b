"""A small corpus for experiments: news, mail, minutes, reviews and more, in five languages, written for this project.

Edit the YAML files in `sources/`; `python -m ner_ray.sample.build` turns them into the Parquet files of this folder,
which jobs read. Everything is under the project's own licence, Apache-2.0. People, companies and events are invented
unless they are well known.
"""
