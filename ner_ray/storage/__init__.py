"""Files on any store, by path or URI: their one spelling, the filesystem that holds them, small files written whole."""

from ner_ray.storage.copies import cache, made_once
from ner_ray.storage.files import Location, clear, get_json, put_atomically, put_json, put_table, put_text, read_json
from ner_ray.storage.stores import is_local, open_store, require_writable
from ner_ray.storage.uris import absolute, below, folder_and_name, join, normalized, path_of

__all__ = [
    "Location",
    "absolute",
    "below",
    "cache",
    "clear",
    "folder_and_name",
    "get_json",
    "is_local",
    "join",
    "made_once",
    "normalized",
    "open_store",
    "path_of",
    "put_atomically",
    "put_json",
    "put_table",
    "put_text",
    "read_json",
    "require_writable",
]
