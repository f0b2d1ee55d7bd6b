"""What has become of planned files: the input may have changed since, while a run must stay what it is.

A file is told by its content, not by its name or time alone. One that was written again with the same bytes is the same
shard, and so is one that was renamed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Literal

from ner_ray.errors import InputError
from ner_ray.store.shards import Shard, by_threads, inspect
from ner_ray.store.waves import NumberedShard, Wave, current_shards

_LOG = logging.getLogger(__name__)

OnChange = Literal["error", "reprocess"]


class Input:
    """The input as it is now.

    Args:
        shards: as they are listed now.
        waves: all waves of the run.
    """

    def __init__(self, shards: Iterable[Shard], waves: Sequence[Wave]) -> None:
        self._listed = {shard.uri: shard for shard in shards}
        self._replaced = {ordinal for wave in waves for ordinal in wave.replaces}
        known = {shard.uri for shard in self._planned(waves) if self._same_by_name(shard)}
        # Listed files that the run does not know by their names, by content: other planned files may be found there.
        self._unknown: dict[tuple[int, str], list[Shard]] = defaultdict(list)
        for shard in self._listed.values():
            if shard.digest and shard.uri not in known:
                self._unknown[shard.size, shard.digest].append(shard)
        self._renamed: dict[Shard, Shard] = {}

    def _planned(self, waves: Sequence[Wave]) -> Iterator[Shard]:
        for wave in waves:
            for numbered in (*wave.shards, *wave.missing):
                if numbered.chosen is None and numbered.ordinal not in self._replaced:
                    yield numbered.shard

    def _same_by_name(self, planned: Shard) -> Shard | None:
        listed = self._listed.get(planned.uri)
        return listed if listed and listed.same_content(planned) else None

    def has_later_version(self, numbered: NumberedShard) -> bool:
        """Whether the file has changed since, and its new version was planned."""
        return numbered.ordinal in self._replaced

    def is_unchanged(self, numbered: NumberedShard) -> bool:
        """Whether the file of a shard's name is listed with the shard's content."""
        return self._same_by_name(numbered.shard) is not None

    def readable(self) -> list[Shard]:
        """The listed shards that can be read."""
        return [shard for shard in self._listed.values() if not shard.problem]

    def lists(self, shard: Shard) -> bool:
        """Whether a file of this name is among those listed."""
        return shard.uri in self._listed

    def find(self, planned: Sequence[Shard], *, afresh: bool = False) -> list[Shard | None]:
        """Planned files as they are now: by their names or, where a name has not that content any more, by content.

        Args:
            planned: as they were.
            afresh: look at the files even if they have been listed, in case only their times are as before.

        Returns:
            For each the file, which may have changed and may be unreadable; None if it is gone.
        """

        def look(shard: Shard) -> Shard | None:
            listed = self._listed.get(shard.uri)
            return (inspect((listed or shard).address) if afresh or not listed else None) or listed

        found = by_threads(look, planned, "looked_for")
        return [
            now if now and now.same_content(then) else self._under_another_name(then) or now
            for then, now in zip(planned, found, strict=True)
        ]

    def find_committed(self, numbered: NumberedShard) -> NumberedShard:
        """A committed shard where it is now; as it was if it is gone, has changed, or was replaced."""
        planned = numbered.shard
        if numbered.ordinal in self._replaced:
            return numbered
        if now := self._same_by_name(planned):
            return numbered.at(now)
        # The name tells nothing more: is it the content of another file, and not merely left out of this listing?
        may_be_elsewhere = planned in self._renamed or self._unknown.get((planned.size, planned.digest))
        if may_be_elsewhere and not _is_still_there(planned):
            now = self._under_another_name(planned)
        return numbered.at(now) if now else numbered

    def _under_another_name(self, planned: Shard) -> Shard | None:
        if planned not in self._renamed:
            candidates = self._unknown.get((planned.size, planned.digest), [])
            partitions = _partitions(planned.uri)  # a kept column may come from the path
            if same := [shard for shard in candidates if _partitions(shard.uri) == partitions]:
                candidates.remove(same[0])
                self._renamed[planned] = same[0]
                _LOG.info("input.renamed from=%s to=%s", planned.uri, same[0].uri)
        return self._renamed.get(planned)


def _is_still_there(planned: Shard) -> bool:
    now = inspect(planned.uri)
    return now is not None and now.same_content(planned)


def _partitions(uri: str) -> list[str]:
    return [part for part in PurePosixPath(uri).parts if "=" in part]


def settled(waves: Sequence[Wave], committed: Collection[int], now: Input, on_change: OnChange) -> list[Wave]:
    """The waves as they can be run now: files that have moved are found, files that are gone are set aside.

    A wave that is open goes on without a file that is gone; when the file comes back before the wave is committed, so
    do its rows. Of a file that has changed, an open wave drops the version that no longer exists.

    Raises:
        InputError: a file of an open wave has changed, and `on_change` is `error`.
    """
    located = {
        numbered.ordinal: now.find_committed(numbered)
        for wave in waves
        if wave.number in committed
        for numbered in wave.shards
        if numbered.chosen is None
    }
    # Rows that are or were retried are where their shard is.
    followed = [_following(wave, located) for wave in waves]
    remaining = [wave if wave.number in committed else _without_what_is_gone(wave, now, on_change) for wave in followed]
    return _with_displaced(remaining, now)


def _following(wave: Wave, located: Mapping[int, NumberedShard]) -> Wave:
    def follow(numbered: NumberedShard) -> NumberedShard:
        now = located.get(numbered.ordinal)
        return replace(numbered, shard=now.shard, displaced=now.displaced) if now else numbered

    return replace(wave, shards=tuple(map(follow, wave.shards)), missing=tuple(map(follow, wave.missing)))


def _with_displaced(waves: Sequence[Wave], now: Input) -> list[Wave]:
    """Marks shards whose names other shards have taken, which have moved there."""
    current = [numbered for wave in waves for numbered in wave.shards if not now.has_later_version(numbered)]
    holders = {numbered.shard.uri: numbered.ordinal for numbered in current if now.is_unchanged(numbered)}

    def marked(numbered: NumberedShard) -> NumberedShard:
        is_holder = holders.get(numbered.shard.uri, numbered.ordinal) == numbered.ordinal
        return numbered if is_holder or now.has_later_version(numbered) else replace(numbered, displaced=True)

    return [replace(wave, shards=tuple(map(marked, wave.shards))) for wave in waves]


def _without_what_is_gone(wave: Wave, now: Input, on_change: OnChange) -> Wave:
    planned = sorted((*wave.shards, *wave.missing), key=lambda numbered: numbered.ordinal)
    shards: list[NumberedShard] = []
    missing: list[NumberedShard] = []
    for numbered, found in zip(planned, now.find([numbered.shard for numbered in planned]), strict=True):
        if found and found.same_content(numbered.shard):
            shards.append(numbered.at(found))
        elif found and not found.problem and now.lists(found):
            if numbered in wave.shards:
                _check_allowed([found], on_change, "has changed while its wave is open")
            _LOG.warning("shard.changed uri=%s wave=%d; it is annotated anew", found.uri, wave.number)
        else:
            missing.append(numbered)
    return replace(wave, shards=tuple(shards), missing=tuple(missing))


def still_there(wave: Wave, now: Input) -> Wave:
    """A wave of rows to be retried, with those set aside whose files are gone or are not what they were.

    Raises:
        InputError: none is left.
    """
    found = now.find([numbered.shard for numbered in wave.shards], afresh=True)
    pairs = list(zip(wave.shards, found, strict=True))
    shards = tuple(numbered.at(shard) for numbered, shard in pairs if shard and shard.same_content(numbered.shard))
    missing = [(numbered, shard) for numbered, shard in pairs if not shard or not shard.same_content(numbered.shard)]
    for numbered, shard in missing:
        _LOG.warning("retry.left_out uri=%s reason=%s", numbered.shard.uri, "changed" if shard else "gone")
    if not shards:
        numbered, shard = missing[0]
        raise InputError(
            f"{numbered.shard.uri} {'has changed' if shard else 'is gone'} since it was annotated "
            f"({len(missing)} such files): its documents cannot be annotated again",
            hint="they keep the results that they have",
        )
    return replace(wave, shards=shards, missing=tuple(numbered for numbered, _ in missing))


def changed_shards(waves: Sequence[Wave], now: Input, on_change: OnChange) -> list[Shard]:
    """The listed shards that are not what the waves have read under their names.

    Raises:
        InputError: there are any, and `on_change` is `error`.
    """
    current = current_shards(waves)
    changed = [
        shard for shard in now.readable() if shard.uri in current and not shard.same_content(current[shard.uri].shard)
    ]
    if changed:
        _check_allowed(changed, on_change, "has changed since it was annotated")
    return changed


def _check_allowed(changed: Sequence[Shard], on_change: OnChange, what: str) -> None:
    if on_change == "error":
        raise InputError(
            f"{changed[0].uri} {what} ({len(changed)} such files)",
            hint="input.on_change=reprocess annotates it again and replaces its rows",
        )
