"""Edits that drafts of a corrected text suggest, and the best of their combinations.

A model that writes the whole text again makes several edits at once, of which some help only together; a chain makes
one at a time. A draft is taken apart into edits of single words, aligned with what was written (Wagner and Fischer,
1974). Those that no move could make, or undo, are left out; of the others the energy decides, which also pays for each.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import final

import torch

from samplers.proposals.clusters import PUNCTUATION
from textsearch.batch import Batch
from textsearch.language.confusions import INSERTED, Confusions
from textsearch.language.edit_distance import letters_apart
from textsearch.language.mixed_up import small_words
from textsearch.language.stems import stem
from textsearch.language.surface import is_month
from textsearch.language.words import TIGHT, WordVocabulary, bare, gap
from textsearch.objective import Limit, Objective, evaluate
from textsearch.tasks.restoring import Marked, batch_of, marked_rows

_ROUNDS = 12
"""Edits that are put in or left out, one after another, at most."""


@final
@dataclass(frozen=True, order=True)
class Edit:
    """One word replaced, put in or taken out.

    Attributes:
        place: number of the token of the source that is replaced or taken out, or that a word is put in front of.
        rank: of words that are put in at one place, which stands first; of what replaces a word, after all of them.
        word: the token that is written; empty if one is taken out.
    """

    place: int
    rank: int
    word: str

    @property
    def spot(self) -> tuple[int, int]:
        """Of two edits there, only one can be made."""
        return self.place, self.rank


_INSTEAD = 99
"""The rank of what stands instead of a word."""


def suggested(
    tokens: Sequence[str], kept: Sequence[bool], draft: Sequence[str], confusions: Confusions
) -> tuple[Edit, ...]:
    """The edits that lead from a text to a draft of it, as far as moves can make them.

    A word gives way to one that it may be mistaken for, or that is `akin` to it: what a draft says in other words may
    mean something else.

    Args:
        tokens: of the text, each with the gap before it.
        kept: of each token, whether it stays; nothing is put in beside it.
        draft: tokens.
        confusions: what a word may have been meant to be, and which words may be put in and taken out.

    >>> from textsearch.language.confusions import ListedConfusions
    >>> from textsearch.language.words import split
    >>> source, draft = split("She go to school yesterday."), split("She went to the school, myself.")
    >>> listed = ListedConfusions({"go": {"went": "inflection"}}, inserted=("the",))
    >>> [(edit.place, edit.word) for edit in suggested(source, [False] * 6, draft, listed)]
    [(1, 'went'), (3, 'the')]
    """
    here, there = list(map(_plain, tokens)), list(map(_plain, draft))
    movable = frozenset(TIGHT + word if word in PUNCTUATION else word for word in confusions.inserted)
    found: list[Edit] = []
    for kind, i, stop, j, end in SequenceMatcher(None, here, there, autojunk=False).get_opcodes():
        if kind != "equal":
            found += [
                Edit(i + edit.place, edit.rank, edit.word) for edit in _aligned(here[i:stop], there[j:end], movable)
            ]
    beside = {place for place, stays in enumerate(kept) if stays} | {p + 1 for p, stays in enumerate(kept) if stays}
    own = [
        edit
        for edit in found
        if not (edit.place in beside if edit.rank != _INSTEAD else kept[edit.place])
        and (edit.rank != _INSTEAD or not edit.word or _meant(bare(tokens[edit.place]), bare(edit.word), confusions))
    ]
    # a word in the place of another keeps the gap in front of it
    return tuple(
        Edit(edit.place, edit.rank, gap(tokens[edit.place]) + bare(edit.word))
        if edit.rank == _INSTEAD and edit.word
        else edit
        for edit in own
    )


def _plain(token: str) -> str:
    """A token with one space in front or none, whatever the gap is."""
    return token if token.startswith(TIGHT) else bare(token)


def _aligned(old: Sequence[str], new: Sequence[str], movable: Collection[str]) -> list[Edit]:
    """The cheapest edits between two stretches; none if words would have to come or go that cannot."""
    table: list[list[tuple[float, list[Edit]]]] = []
    for i in range(len(old) + 1):
        table.append([])
        for j in range(len(new) + 1):
            ways: list[tuple[float, list[Edit]]] = [(0.0, [])] if i == j == 0 else []
            if i and j and old[i - 1].startswith(TIGHT) == new[j - 1].startswith(TIGHT):
                cost, edits = table[i - 1][j - 1]
                unlike = 1.0 - SequenceMatcher(None, old[i - 1].lower(), new[j - 1].lower()).ratio()
                same = old[i - 1] == new[j - 1]
                ways.append((cost + unlike, edits if same else [*edits, Edit(i - 1, _INSTEAD, new[j - 1])]))
            if i and old[i - 1] in movable:
                cost, edits = table[i - 1][j]
                ways.append((cost + 0.6, [*edits, Edit(i - 1, _INSTEAD, "")]))
            if j and new[j - 1] in movable:
                cost, edits = table[i][j - 1]
                rank = sum(edit.place == i and edit.rank != _INSTEAD for edit in edits)
                ways.append((cost + 0.6, [*edits, Edit(i, rank, new[j - 1])]))
            table[-1].append(min(ways, key=lambda way: way[0], default=(math.inf, [])))
    cost, edits = table[-1][-1]
    return edits if cost < math.inf else []


def _meant(old: str, new: str, confusions: Confusions) -> bool:
    listed = {other.replace(TIGHT, "") for other in confusions.of(old)}
    return new.replace(TIGHT, "") in listed or akin(old, new)


def akin(old: str, new: str) -> bool:
    """Whether a word may be meant by another: few of its letters differ, or both say nothing by themselves.

    What is written in capitals throughout is meant to be.

    >>> akin("taire", "tire"), akin("in", "at"), akin("siences", "things"), akin("nocive", "drugs"), akin(".", "all")
    (True, True, False, False, False)
    """
    if len(old) > 1 and old.isupper() and not new.isupper():
        return False
    one, other = old.lower().replace(TIGHT, ""), new.lower().replace(TIGHT, "")
    small = {*small_words(), *INSERTED}
    if not (one.isalpha() and other.isalpha()):
        return False
    if one in small and other in small:
        return True
    if len(one) > 3 and stem(one) == stem(other):
        return True
    # a prefix makes a word its opposite, import and export
    return one[:1] == other[:1] and 3 * letters_apart(one, other) <= max(len(one), len(other))


def months(sources: Batch) -> list[tuple[Edit, ...]]:
    """For each text the capitals of "may" where it is a month: with a small letter a verb would be sought for it."""
    vocabulary = sources.vocabulary
    assert isinstance(vocabulary, WordVocabulary)
    found = []
    for row, editable in zip(vocabulary.words(sources), sources.editable.tolist(), strict=True):
        words = [bare(token) for token in row]
        beside = zip(["", *words], words, [*words[1:], ""], editable, strict=False)
        capitals = (
            Edit(place, _INSTEAD, gap(row[place]) + "May")
            for place, (before, word, after, may_change) in enumerate(beside)
            if may_change and word == "may" and is_month(before, after)
        )
        found.append(tuple(edit for edit in capitals if edit.word in vocabulary.number))
    return found


def differences(sources: Batch, batch: Batch) -> list[tuple[Edit, ...]]:
    """The words of each text that stand in the place of one of its source, which is as long, as edits."""
    vocabulary = batch.vocabulary
    assert isinstance(vocabulary, WordVocabulary)
    pairs = zip(sources.token_lists(), batch.token_lists(), strict=True)
    return [
        tuple(
            Edit(place, _INSTEAD, vocabulary.tokens[new])
            for place, (old, new) in enumerate(zip(before, after, strict=True))
            if old != new
        )
        for before, after in pairs
    ]


def replaced(row: Sequence[str], drafts: Iterable[Iterable[Edit]]) -> dict[str, list[str]]:
    """Word -> the words that stand in its place in a draft of this text."""
    found: dict[str, list[str]] = {}
    for edit in (edit for draft in drafts for edit in draft):
        if edit.rank == _INSTEAD and edit.word:
            found.setdefault(bare(row[edit.place]), []).append(bare(edit.word))
    return found


def improved(objective: Objective, sources: Batch, drafts: Sequence[Sequence[Collection[Edit]]]) -> Batch:
    """Each source with those edits of its drafts that have the lowest energy together, as far as descent finds them.

    From the best of the source and its drafts, one edit is put in or left out at a time, the best one, for as long as
    one lowers the energy.

    Args:
        objective: the energy, nats.
        sources: a text for each input, in order.
        drafts: for each input the edits of each of its drafts.
    """
    rows = marked_rows(sources)
    inputs = sources.inputs.tolist()

    def texts(wanted: Sequence[tuple[int, frozenset[Edit]]]) -> Batch:
        made = [(_edited(rows[number], edits, sources.vocabulary), inputs[number]) for number, edits in wanted]
        return batch_of(sources, made)

    states: list[frozenset[Edit]] = []
    starts = [list(dict.fromkeys([frozenset[Edit](), *map(frozenset, own)])) for own in drafts]
    first = texts([(number, one) for number, own in enumerate(starts) for one in own])
    found = iter(evaluate(objective, first).energy.tolist())
    lowest: list[float] = []
    for own in starts:
        scored = [(next(found), place) for place in range(len(own))]
        energy, place = min(scored)
        states.append(own[place])
        lowest.append(energy)
    pools = [sorted({edit for draft in own for edit in draft}) for own in drafts]
    going = [number for number, pool in enumerate(pools) if pool]
    for _ in range(_ROUNDS):
        tried = [(number, _toggled(states[number], edit)) for number in going for edit in pools[number]]
        if not tried:
            break
        here = texts([(number, states[number]) for number, _ in tried])
        limit = Limit(torch.tensor([lowest[number] for number, _ in tried], dtype=torch.float64), here)
        moved: set[int] = set()
        energies = evaluate(objective, texts(tried), limit=limit).energy.tolist()
        for (number, state), energy in zip(tried, energies, strict=True):
            if energy < lowest[number]:
                lowest[number], states[number] = energy, state
                moved.add(number)
        going = sorted(moved)
    return texts(list(enumerate(states)))


def edited(sources: Batch, number: int, edits: Collection[Edit]) -> Batch:
    """One of some texts, with some edits made."""
    row = marked_rows(sources.rows([number]))[0]
    return batch_of(sources, [(_edited(row, edits, sources.vocabulary), int(sources.inputs[number]))])


def _toggled(state: frozenset[Edit], edit: Edit) -> frozenset[Edit]:
    """The edit left out if it is there, else put in, in the place of another one there."""
    if edit in state:
        return state - {edit}
    return frozenset(other for other in state if other.spot != edit.spot) | {edit}


def _edited(row: Marked, edits: Collection[Edit], vocabulary: object) -> Marked:
    assert isinstance(vocabulary, WordVocabulary)
    at = {edit.spot: vocabulary.number[edit.word] if edit.word else -1 for edit in edits}
    found: Marked = []
    for place in range(len(row) + 1):
        found += [(at[place, rank], True) for rank in range(_INSTEAD) if (place, rank) in at]
        if place < len(row):
            token = at.get((place, _INSTEAD), row[place][0])
            found += [(token, row[place][1])] if token >= 0 else []
    return found
