"""Training rows: what one says, and the files that hold them.

A row is a chat, or a prompt as the model reads it, and the answers that are to be learnt. Four kinds of files hold
rows, and `read_rows` tells them apart by what is in them:

    Parquet         messages, learnt, rendered, weight, role, labels, and where the row comes from (`SCHEMA`)
    JSON Lines      {"prompt": "text as the model reads it", "answer": "..."}
                    {"prompt": [{"role": "user", "content": "..."}], "answer": "..."}
                    {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
                    {"conversations": [{"from": "human", "value": "..."}, {"from": "gpt", "value": "..."}]}
    LLaMA-Factory   a JSON list of conversations, described by a `dataset_info.json` in the same folder
    ms-swift        JSON Lines of messages, where `"loss": false` marks a turn that is not learnt

JSON rows may carry more keys. `weight`, `role`, `labels`, `learnt`, `rendered` and the fields of `Lineage` are read;
other trainers ignore them. Without `learnt`, only the answer to a `prompt` is learnt, and every turn of the assistant
in `messages` and `conversations`.

>>> import json
>>> row = TrainingRow.question("Who came? Bob came.", "Bob", role="tagger")
>>> json_line(row)
'{"prompt": "Who came? Bob came.", "answer": "Bob", "role": "tagger"}'
>>> parse_row(json.loads(json_line(row))) == row
True
"""

from ner_ray.data.training.read import from_table, parse_row, read_rows
from ner_ray.data.training.row import Lineage, TrainingRow, Turns
from ner_ray.data.training.write import (
    SCHEMA,
    dataset_info,
    json_line,
    ms_swift,
    sharegpt,
    to_table,
    write_llama_factory,
    write_ms_swift,
)

__all__ = [
    "SCHEMA",
    "Lineage",
    "TrainingRow",
    "Turns",
    "dataset_info",
    "from_table",
    "json_line",
    "ms_swift",
    "parse_row",
    "read_rows",
    "sharegpt",
    "to_table",
    "write_llama_factory",
    "write_ms_swift",
]
