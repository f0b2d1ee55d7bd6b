"""What the plans and manifests of a run say, in one file, so that nobody has to read a thousand of them.

A snapshot is a cache, never the truth. It tells of each document that it stands for how large it was and when it was
written; a document that is another one now is read itself. A snapshot that cannot be read counts as none.

    snapshot/TIME.parquet    one row per wave; the newest counts, the one before serves those who are reading it
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from ner_ray.storage import join, put_atomically
from ner_ray.store.tally import Tally
from ner_ray.store.waves import Wave

_LOG = logging.getLogger(__name__)

_FOLDER = "snapshot"
_KEPT = 2
_SHARDS_TOGETHER = 100_000  # in a row group, so that little more than the columns themselves is in memory

STAMPS = ("plan_size", "plan_modified", "manifest_size", "manifest_modified")
# One list per wave, with an element per shard; shards that are missing come last.
SHARDS = {
    "ordinal": pa.int64(),
    "uri": pa.string(),
    "size": pa.int64(),
    "modified": pa.int64(),
    "rows": pa.int64(),
    "problem": pa.string(),
    "digest": pa.string(),
    "name": pa.string(),
    "chosen": pa.list_(pa.int64()),
    "replaces": pa.int64(),
    "displaced": pa.bool_(),
    "missing": pa.bool_(),
}
_OF_NUMBERED = ("ordinal", "chosen", "replaces", "displaced")
# Of the manifest: null while a wave is open. `tally` counts all files of the wave, `removed` those that it supersedes.
_COMMITTED = {
    "paths": pa.list_(pa.string()),
    "path_rows": pa.list_(pa.int64()),
    "path_codes": pa.list_(pa.list_(pa.string())),
    "path_ordinals": pa.list_(pa.list_(pa.int64())),
    "supersedes": pa.list_(pa.string()),
    "committed_ordinals": pa.list_(pa.int64()),
    "tally": pa.string(),
    "removed": pa.string(),
    "counts": pa.string(),
    "committed": pa.string(),
}
SCHEMA = pa.schema(
    [
        pa.field("wave", pa.int64()),
        *(pa.field(name, pa.int64()) for name in STAMPS),
        *(pa.field(name, pa.list_(kind)) for name, kind in SHARDS.items()),
        *(pa.field(name, kind) for name, kind in _COMMITTED.items()),
    ]
)


def row_of(wave: Wave, manifest: dict[str, Any] | None) -> dict[str, Any]:
    """What is recorded of a wave, but for the stamps of its documents."""
    return {"wave": wave.number} | _planned(wave) | (_committed(manifest) if manifest else {})


def _planned(wave: Wave) -> dict[str, Any]:
    numbered = (*wave.shards, *wave.missing)
    own = {name: [getattr(shard, name) for shard in numbered] for name in _OF_NUMBERED}
    of_shards = {name: [getattr(shard.shard, name) for shard in numbered] for name in SHARDS.keys() - {*own, "missing"}}
    return own | of_shards | {"missing": [at >= len(wave.shards) for at in range(len(numbered))]}


def _committed(manifest: dict[str, Any]) -> dict[str, Any]:
    files = manifest["files"]
    return {
        "paths": [file["path"] for file in files],
        "path_rows": [file.get("rows") for file in files],
        "path_codes": [list(file["tally"]["errors"]) for file in files],
        "path_ordinals": [file.get("ordinals") for file in files],
        "supersedes": manifest.get("supersedes", []),
        "committed_ordinals": [shard["ordinal"] for shard in manifest["shards"]],
        "tally": json.dumps(Tally.total(Tally.from_dict(file["tally"]) for file in files).to_dict()),
        "removed": json.dumps(manifest["removed"]),
        "counts": json.dumps(manifest["counts"]),
        "committed": manifest.get("committed"),
    }


def read_snapshot(store: fs.FileSystem, run: str, columns: Sequence[str]) -> pa.Table | None:
    """Some columns of the newest snapshot of a run that can be read; None if there is none.

    Args:
        store: the filesystem that holds the run.
        run: the run directory, as a path.
        columns: besides `wave` and the stamps.
    """
    for path in reversed(_snapshots(store, run)):
        try:
            names = ["wave", *STAMPS, *columns]
            with pq.ParquetFile(path, filesystem=store, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(SCHEMA):  # of another version
                    continue
                groups = range(file.num_row_groups)
                return pa.concat_tables([file.read_row_group(group, names).select(names) for group in groups])
        except (pa.ArrowException, OSError) as error:
            _LOG.warning("snapshot.ignored path=%s reason=%s", path, str(error).splitlines()[0])
    return None


def write_snapshot(store: fs.FileSystem, run: str, rows: pa.Table) -> None:
    """Writes a snapshot of a run in one atomic step, then deletes those that nobody needs any more."""
    buffer = pa.BufferOutputStream()
    shards = pc.sum(pc.list_value_length(rows["ordinal"])).as_py()
    together = max(1, len(rows) * _SHARDS_TOGETHER // max(1, shards))
    pq.write_table(rows, buffer, compression="zstd", row_group_size=together, write_page_checksum=True)
    put_atomically(store, join(run, _FOLDER, f"{time.time_ns():020}.parquet"), buffer.getvalue().to_pybytes())
    for path in _snapshots(store, run)[:-_KEPT]:
        store.delete_file(path)


def _snapshots(store: fs.FileSystem, run: str) -> list[str]:
    infos = store.get_file_info(fs.FileSelector(join(run, _FOLDER), allow_not_found=True))
    return sorted(info.path for info in infos if info.is_file and info.path.endswith(".parquet"))
