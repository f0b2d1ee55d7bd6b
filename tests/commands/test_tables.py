"""What is printed for people: whole, and as it is, whatever stands in paths, labels and messages."""

from __future__ import annotations

from ner_ray.commands._summary import summary_table
from ner_ray.commands._tables import fields
from ner_ray.pipeline.summary import Summary

PATH = "s3://corpus/" + "a/long/way/" * 20 + "[bold]day=1[/red]"


def test_a_summary_is_printed_as_it_is_even_where_it_looks_like_markup() -> None:
    summary = Summary(
        run=PATH,
        waves=1,
        counts={"documents": 1200, "prompt_tokens": 8, "cached_tokens": 2},
        seconds={"total": 9.0},
        quarantined={PATH: "no Parquet [/]"},
        missing={PATH: 12},
        exit_status=0,
    )

    lines = [line.split() for line in summary_table(summary).splitlines()]

    assert ["documents", "1,200"] in lines
    assert ["run", PATH] in lines
    assert ["not", "readable", f"{PATH}:", "no", "Parquet", "[/]"] in lines
    assert ["missing", f"{PATH}:", "12", "documents;"] in [line[:4] for line in lines]


def test_fields_are_printed_one_a_line_without_brackets_of_ours() -> None:
    values = {
        "output": PATH,
        "of_it": {"rows": 1234, "seconds": 0.12345},
        "files": ["a[0]", "b"],
        "none": {},
        "ok": True,
    }

    assert [line.split(maxsplit=1) for line in fields(values).replace("of it", "of_it").splitlines()] == [
        ["output", PATH],
        ["of_it", "rows 1,234, seconds 0.123"],
        ["files", "a[0], b"],
        ["none", "-"],
        ["ok", "True"],
    ]
