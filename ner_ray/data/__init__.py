"""Annotated texts: one type, one reader for every format, and one meaning of `label_map`."""

from ner_ray.data.annotated import AnnotatedText, Columns, Reject
from ner_ray.data.label_map import LabelMap, check_label_map, relabel
from ner_ray.data.read import distinct, read, read_all, split

__all__ = [
    "AnnotatedText",
    "Columns",
    "LabelMap",
    "Reject",
    "check_label_map",
    "distinct",
    "read",
    "read_all",
    "relabel",
    "split",
]
