"""The record that finds the documents that kill engines, without real engines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ner_ray.pipeline.suspects import TRIED_TOGETHER, Entry, Suspects


def life(books: Suspects, blocks: list[list[int]], deadly: set[int], answered: set[int]) -> tuple[bool, set[int]]:
    """Runs blocks through one engine; returns whether it survived, and the rows convicted by then."""
    entered = [(block, books.enter(0, block)) for block in blocks]
    held = {row for _, entry in entered for trial in [*entry.trials, entry.accused] for row in trial}
    if any(row in deadly for block in blocks for row in block if row not in held):
        return False, set()
    convicted = set[int]()
    for block, entry in entered:
        for trial in entry.trials:
            books.proving(0, trial)
            books.proven(0)
            books.tried(0, trial)
            if deadly & set(trial):
                return False, convicted
            books.cleared(0, trial)
        convicted |= set(entry.accused)
        books.leave(0, block)
        answered |= set(block) - convicted
    return True, convicted


@given(
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    deadly=st.sets(st.integers(0, 239), max_size=4),
)
def test_exactly_the_documents_that_kill_engines_are_convicted(sizes: list[int], deadly: set[int]) -> None:
    """For any combination of blocks that are in an engine at the same time."""
    blocks = [list(range(sum(sizes[:number]), sum(sizes[: number + 1]))) for number in range(len(sizes))]
    rows = {row for block in blocks for row in block}
    deadly &= rows
    books, answered, deaths, convicted = Suspects(), set[int](), 0, set[int]()
    lived = False
    while not lived:
        waiting = [block for block in blocks if not set(block) <= answered | convicted]
        lived, newly_convicted = life(books, waiting, deadly, answered)
        convicted |= newly_convicted
        deaths += not lived
        assert deaths <= 1 + 2 * len(deadly), "each costs one more engine in a group, and one alone"

    assert convicted == deadly
    assert answered == rows - deadly


def test_many_suspects_are_tried_a_few_at_a_time_and_few_alone() -> None:
    books = Suspects()
    many, few = list(range(100)), list(range(100, 110))
    assert books.enter(0, many) == books.enter(0, few) == Entry([], [])

    trials = books.enter(0, many).trials
    assert sorted(row for trial in trials for row in trial) == many
    assert max(map(len, trials)) == TRIED_TOGETHER
    assert books.enter(0, few) == Entry([[row] for row in few], [])
    assert books.enter(1, many) == Entry([], []), "another pool's engine has not died"


def test_engines_that_die_at_control_questions_stop_the_run_unless_one_answers_between() -> None:
    books = Suspects()
    for dies in (False, True, False, True, True):
        assert not books.enter(0, [1]).stop
        books.proving(0, [1])
        if not dies:
            books.proven(0)
    books.died(0, "out of memory")

    assert books.enter(1, [1]).stop == ""
    assert books.enter(0, [1]).stop == "each engine dies before it has answered anything; the last one: out of memory"
    assert books.reason() == books.enter(1, [2]).stop != ""
