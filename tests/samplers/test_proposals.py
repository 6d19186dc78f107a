"""Proposals: what they leave alone, what they refuse, and edges of the space of texts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from scipy.sparse.csgraph import connected_components

from samplers import DelayedAcceptance, MetropolisHastings, MultipleTry
from samplers.proposals import PIECES, BlockInfill, Copy, InsertDelete, Mixture, Replace, SpanEdit, Swap
from samplers.proposals.pieces import every_size
from samplers.proposals.sites import word_table
from tests.samplers.toys import TOYS, Toy
from textsearch import generate
from textsearch.batch import Batch, Vocabulary
from textsearch.objective import FunctionObjective
from textsearch.proposal import Move, Proposal
from textsearch.rng import Rng
from textsearch.testing import TableMaskedLM, letters

VOCABULARY = letters("abC")
MODEL = TableMaskedLM.random(VOCABULARY, seed=0)
FLAT = FunctionObjective(lambda texts: [0.0] * len(texts), name="flat")

every_toy = pytest.mark.parametrize("toy", TOYS.values(), ids=TOYS.keys())

PROPOSALS: dict[str, Proposal] = {
    "replace": Replace(MODEL, pieces=PIECES, max_length=6),
    "insert and delete": InsertDelete(MODEL, pieces=(0.6, 0.4), max_length=6),
    "infill": BlockInfill(MODEL, pieces=(0.6, 0.4), max_length=6),
    "rewrite": SpanEdit(MODEL, {(1, 2): 0.5, (2, 1): 0.5}, (0.6, 0.4), 6),
    "swap": Swap(VOCABULARY),
    "mixture": Mixture({Replace(MODEL, max_length=6): 1.0, InsertDelete(MODEL, max_length=6): 2.0}),
    "mixture of mixtures": Mixture({Mixture({Swap(VOCABULARY): 1.0, Replace(MODEL, max_length=6): 1.0}): 1.0}),
}
every_proposal = pytest.mark.parametrize("proposal", PROPOSALS.values(), ids=PROPOSALS.keys())


def encode(*texts: str) -> Batch:
    return VOCABULARY.encode(texts)


def moves(proposal: Proposal, text: str, times: int = 300) -> Move:
    batch = encode(text).repeat(times)
    return proposal.propose(batch, Rng.start(3, times))


def null(move: Move) -> torch.Tensor:
    return move.log_backward == -math.inf


@every_toy
def test_moves_are_well_formed(toy: Toy) -> None:
    batch = toy.batch(range(len(toy.states))).repeat(30)
    move = toy.proposal.propose(batch, Rng.start(2, len(batch)))
    new = move.batch
    assert len(new) == len(batch)
    assert new.inputs.equal(batch.inputs)
    assert move.log_forward.dtype == move.log_backward.dtype == torch.float64
    assert move.kind.dtype == torch.int64
    assert ((move.kind >= 0) & (move.kind < len(toy.proposal.kinds))).all()
    assert move.log_forward.isfinite().all()
    assert not move.log_backward.isnan().any()
    assert not (move.log_backward == math.inf).any()
    assert not new.tokens[~new.present].any()
    assert not new.editable[~new.present].any()
    # what can be taken holds no mask
    assert not ((new.tokens == 0) & new.present)[~null(move)].any()


@every_toy
def test_moves_leave_the_state_itself_alone(toy: Toy) -> None:
    batch = toy.batch(range(len(toy.states)))
    before = batch.tokens.clone(), batch.lengths.clone(), batch.editable.clone()
    toy.proposal.propose(batch, Rng.start(2, len(batch)))
    assert all(mine.equal(now) for mine, now in zip(before, (batch.tokens, batch.lengths, batch.editable), strict=True))


@every_toy
def test_frozen_tokens_keep_their_order(toy: Toy) -> None:
    """In number, identity and order: they may be shifted, by nothing else changed."""
    batch = toy.batch(range(len(toy.states))).repeat(30)
    new = toy.proposal.propose(batch, Rng.start(2, len(batch))).batch
    for tokens, editable, then, free in zip(
        batch.token_lists(), batch.editable.tolist(), new.token_lists(), new.editable.tolist(), strict=True
    ):
        kept = [token for token, is_free in zip(tokens, editable, strict=False) if not is_free]
        assert [token for token, is_free in zip(then, free, strict=False) if not is_free] == kept


@every_proposal
def test_every_kind_of_move_occurs(proposal: Proposal) -> None:
    move = moves(proposal, "abaCb")
    possible = {kind for kind, is_null in zip(move.kind.tolist(), null(move).tolist(), strict=True) if not is_null}
    assert possible == set(range(len(proposal.kinds)))


@every_proposal
def test_any_text_can_be_moved_from(proposal: Proposal) -> None:
    """The empty text and single words among them, alone or side by side."""
    texts = ["", "a", "aC", "aCC", "ab", "abaCbC"]
    for batch in (encode(*texts), *(encode(text) for text in texts)):
        move = proposal.propose(batch.repeat(20), Rng.start(0, 20 * len(batch)))
        assert len(move.batch) == 20 * len(batch)


@every_proposal
def test_a_text_wholly_frozen_keeps_its_tokens(proposal: Proposal) -> None:
    batch = encode("abaCb").repeat(50)
    batch = batch.frozen(batch.present)
    new = proposal.propose(batch, Rng.start(0, 50)).batch
    kept = [
        [token for token, free in zip(tokens, editable, strict=False) if not free]
        for tokens, editable in zip(new.token_lists(), new.editable.tolist(), strict=True)
    ]
    assert kept == batch.token_lists()


@every_proposal
def test_no_text_grows_beyond_max_length(proposal: Proposal) -> None:
    sampler = MetropolisHastings(proposal)
    batch = encode("abaC", "").repeat(50)
    state = sampler.init(FLAT, batch)
    for step in range(20):
        state, _ = sampler.step(FLAT, state, Rng.start(0, 100).at(step))
    assert int(state.batch.lengths.max()) <= 6


@pytest.mark.parametrize(
    ("proposal", "text"),
    [
        (Replace(MODEL), ""),
        (BlockInfill(MODEL, words=(2,)), "aC"),
        (BlockInfill(MODEL, words=(3,)), "ab"),
        (Swap(VOCABULARY), "a"),
        (SpanEdit(MODEL, {(0, 2): 0.5, (2, 0): 0.5}, max_length=3), "aC"),
    ],
    ids=["replace", "infill 2", "infill 3", "swap", "insert 2"],
)
def test_impossible_moves_are_null(proposal: Proposal, text: str) -> None:
    move = moves(proposal, text)
    assert null(move).all()
    assert move.batch.texts() == [text] * 300
    assert not move.log_forward.any()


def test_insertion_into_a_full_text_is_null() -> None:
    move = moves(InsertDelete(MODEL, max_length=3), "aba")
    insert = move.kind == 0
    assert null(move)[insert].all()
    assert not null(move)[~insert].any()


@pytest.mark.parametrize("text", ["", "a", "ab", "aba"])
def test_blocks_larger_than_any_text_are_null(text: str) -> None:
    """A block of 3 words can never fit into 2 tokens; other moves of the same proposal can."""
    move = moves(BlockInfill(MODEL, words=(1, 3), max_length=2), text)
    assert null(move)[move.kind == 1].all()


@pytest.mark.parametrize("text", ["aCCb", "abab", "aCCC"])
def test_texts_longer_than_max_length_never_come_to_harm(text: str) -> None:
    """A move to a text from which the old one is out of reach has no way back."""
    move = moves(InsertDelete(MODEL, pieces=(0.5, 0.2, 0.2, 0.1), max_length=2), text)
    assert null(move).all()


def test_slots_and_words_are_drawn_uniformly() -> None:
    texts = moves(SpanEdit(MODEL, {(0, 1): 0.5, (1, 0): 0.5}), "abaCb", times=4000)
    deleted = [text for text, kind in zip(texts.batch.texts(), texts.kind.tolist(), strict=True) if kind == 1]
    assert set(deleted) == {"baCb", "aaCb", "abb", "abaC"}
    for text in set(deleted):
        share = deleted.count(text) / len(deleted)
        assert abs(share - 0.25) < 5 * math.sqrt(0.25 * 0.75 / len(deleted))


def test_swap_exchanges_two_words() -> None:
    move = moves(Swap(VOCABULARY), "aCbab")
    assert set(move.batch.texts()) == {"baCab", "abaCb", "bbaaC", "aCabb", "aCbab", "aCbba"}
    assert not null(move).any()


def test_a_swap_that_would_glue_words_together_has_no_way_back() -> None:
    """A text may start with a piece that goes on; moved from there, it becomes part of the word before it."""
    move = moves(Swap(VOCABULARY), "Cb")
    glued = torch.tensor([text == "bC" for text in move.batch.texts()])
    assert null(move)[glued].all()


def test_an_insertion_that_would_glue_words_together_has_no_way_back() -> None:
    move = moves(InsertDelete(MODEL, max_length=4), "C")
    glued = torch.tensor([text in ("aC", "bC") for text in move.batch.texts()])
    assert null(move)[glued].all()


def test_new_words_begin_as_words_do() -> None:
    move = moves(InsertDelete(MODEL, insert=0.9, pieces=(0.2, 0.8)), "")
    assert {text for text in move.batch.texts() if text} == {"a", "b", "aC", "bC"}


def test_pieces_are_refused_where_nothing_goes_on_a_word() -> None:
    model = TableMaskedLM.random(letters("ab"), seed=0)
    with pytest.raises(ValueError, match="pieces"):
        Replace(model, pieces=(0.5, 0.5))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({(1, 1): 0.5}, "add up to 1, not 0.5"),
        ({(1, 2): 1.0}, r"\(1, 2\) but not \(2, 1\)"),
        ({(0, 0): 1.0}, r"\(0, 0\)"),
        ({(-1, 1): 0.5, (1, -1): 0.5}, r"\(-1, 1\)"),
        ({(1, 1): 1.0, (2, 2): 0.0}, r"table\[2, 2\]=0.0"),
        ({(1, 1): math.nan}, "nan"),
    ],
)
def test_tables_that_cannot_be_meant(table: Mapping[tuple[int, int], float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpanEdit(MODEL, table)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="table"):
        SpanEdit(MODEL, {})


@pytest.mark.parametrize("pieces", [(0.5,), (0.5, 0.6), (1.5, -0.5), ()])
def test_pieces_that_are_no_probabilities(pieces: Sequence[float]) -> None:
    with pytest.raises(ValueError, match="pieces"):
        Replace(MODEL, pieces=pieces)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Replace(MODEL, max_length=0), "max_length=0"),
        (lambda: InsertDelete(MODEL, insert=0.0), "insert=0.0"),
        (lambda: InsertDelete(MODEL, insert=1.0), "insert=1.0"),
        (lambda: BlockInfill(MODEL, words=()), "words is empty"),
        (lambda: BlockInfill(MODEL, words=(0, 2)), r"words\[0\]=0"),
        (lambda: Mixture({}), "needs at least one"),
        (lambda: Mixture({Replace(MODEL): 0.0}), "weight=0.0 of replace"),
        (lambda: Mixture({Replace(MODEL): math.nan}), "weight=nan of replace"),
        (lambda: Mixture({Replace(MODEL): 1.0, Swap(letters("ab")): 1.0}), "one vocabulary"),
    ],
)
def test_constructors_name_what_is_wrong(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def written(longest: int) -> set[str]:
    """All texts of up to so many letters, none of which begins with a piece that goes on a word."""
    texts = ["".join(letters) for size in range(1, longest + 1) for letters in itertools.product("abC", repeat=size)]
    return {text for text in texts if not text.startswith("C")}


def met(proposal: Proposal, start: str, wanted: set[str], steps: int = 100, chains: int = 1000) -> set[str]:
    """What chains under even energies come to, up to where they have met all that is wanted."""
    sampler = MetropolisHastings(proposal)
    state, rng = sampler.init(FLAT, encode(start).repeat(chains)), Rng.start(8, chains)
    found: set[str] = {start}
    with torch.inference_mode():
        for step in range(steps):
            state, _ = sampler.step(FLAT, state, rng.at(step))
            found.update(state.batch.texts())
            if found >= wanted:
                break
    return found


WORDS_OF_TWO = {text for text in written(4) if sum(letter != "C" for letter in text) == 2}
"""Two words of up to four pieces in all."""


@pytest.mark.parametrize(
    ("build", "long", "space"),
    [
        (lambda **more: Replace(MODEL, max_length=4, **more), "aCCb", WORDS_OF_TWO),
        (lambda **more: BlockInfill(MODEL, words=(2,), max_length=4, **more), "aCCb", WORDS_OF_TWO),
        (lambda **more: InsertDelete(MODEL, max_length=3, **more), "aCC", written(3) | {""}),
        (lambda **more: Copy(MODEL, "b", max_length=3, **more), "aCC", written(3) | {""}),
    ],
    ids=["replace", "infill", "insert and delete", "copy"],
)
def test_every_text_can_be_left_and_come_back_to(build: Callable[..., Proposal], long: str, space: set[str]) -> None:
    """From a word of three pieces to all texts, and from short words to that one."""
    assert met(build(), long, space) == space
    assert long in met(build(), "ab", {long})
    # the twin: words of a size that it never writes stay where they are, and none come about
    assert all("aCC" in text for text in met(build(pieces=(1.0,)), long, space, steps=5))
    assert not any("C" in text for text in met(build(pieces=(1.0,)), "ab", space, steps=5))


def test_chains_on_words_of_any_size_are_irreducible() -> None:
    for name, connected in (("replace, any number of pieces", True), ("replace, words that cannot be written", False)):
        groups, _ = connected_components(TOYS[name].chain.matrix > 0, connection="strong")
        assert (groups == 1) == connected


def test_a_size_for_every_word() -> None:
    for longest in (1, 2, 3, 7, 64, 200):
        shares = every_size(longest)
        assert len(shares) == longest
        assert min(shares) > 0
        assert math.fsum(shares) == pytest.approx(1, abs=1e-12)
    assert SpanEdit(MODEL, {(1, 1): 1.0}).sizes == PIECES == every_size(64)
    assert Replace(MODEL, max_length=100).sizes == every_size(100)
    assert Replace(TableMaskedLM.random(letters("ab"), seed=0)).sizes == (1.0,)


def test_kinds_are_named() -> None:
    edits = {(1, 1): 0.2, (0, 1): 0.2, (1, 0): 0.2, (0, 2): 0.1, (2, 0): 0.1, (2, 2): 0.1, (1, 2): 0.05, (2, 1): 0.05}
    assert SpanEdit(MODEL, edits).kinds == (
        "replace",
        "insert",
        "delete",
        "insert 2",
        "delete 2",
        "infill 2",
        "rewrite 1 to 2",
        "rewrite 2 to 1",
    )
    mixture = Mixture({Replace(MODEL): 1.0, InsertDelete(MODEL): 1.0, Swap(VOCABULARY): 1.0})
    assert mixture.kinds == ("replace", "insert", "delete", "swap")
    assert mixture.weights == (1 / 3, 1 / 3, 1 / 3)
    assert sum(PIECES) == pytest.approx(1)


def test_word_table() -> None:
    batch = encode("aCbC", "", "CCa").widen(5)
    batch = batch.frozen(torch.tensor([[False] * 5, [False] * 5, [False, True, False, False, False]]))
    first, editable = word_table(batch)
    # "CCa": only the first token starts a word against its kind
    assert first.tolist() == [[0, 2, 4, 4, 4, 4], [0, 0, 0, 0, 0, 0], [0, 2, 3, 3, 3, 3]]
    assert editable.tolist()[0] == [True, True, False, False, False]
    assert editable.tolist()[1] == [False] * 5
    assert editable.tolist()[2] == [False, True, False, False, False]


@dataclass(frozen=True, eq=False)
class Astray:
    """Swaps that say of themselves what no log-probability can be."""

    log_forward: float
    log_backward: float
    kinds: tuple[str, ...] = ("swap",)
    vocabulary: Vocabulary = MODEL.vocabulary

    def check(self, batch: Batch) -> None:
        pass

    def propose(self, batch: Batch, rng: Rng) -> Move:
        move, last = Swap(self.vocabulary).propose(batch, rng), torch.arange(len(batch)) == len(batch) - 1
        forward, backward = move.log_forward, move.log_backward
        return replace(
            move,
            log_forward=forward.masked_fill(last, self.log_forward),
            log_backward=backward.masked_fill(last, self.log_backward),
        )


@pytest.mark.parametrize(
    "build",
    [MetropolisHastings, lambda proposal: MultipleTry(proposal, 2), lambda proposal: DelayedAcceptance(proposal, FLAT)],
)
@pytest.mark.parametrize(
    ("forward", "backward", "told"),
    [
        (math.nan, 0.0, "log_forward=nan"),
        (-math.inf, 0.0, "log_forward=-inf"),
        (math.inf, -math.inf, "log_forward=inf"),
        (0.0, math.nan, "log_backward=nan"),
        (0.0, math.inf, "log_backward=inf"),
    ],
)
def test_a_move_without_a_probability_is_an_error(
    build: Callable[[Any], Any], forward: float, backward: float, told: str
) -> None:
    sampler = build(Astray(forward, backward))
    with pytest.raises(ValueError, match=rf"Astray gave {told} for the move of row \d, 'ba', called 'swap'"):
        generate(FLAT, sampler, ["ab", "ba"], steps=1, seed=0)
    # there may be no way back
    generate(FLAT, build(Astray(-math.inf, -math.inf)), ["ab", "ba"], steps=1, seed=0)
