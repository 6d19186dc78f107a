"""Pairs that no text is spelt with: what is proven holds of every text, however it goes on; most strays are proven."""

from __future__ import annotations

import itertools

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from textsearch.beginnings import Beginnings
from textsearch.models.stray_pairs import StrayPairs, strays
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.testing import letters

SPACE, BREAK = "\u0120", "\u010a"
MERGES = [("a", "b"), ("'", "s"), ("b", "a"), ("ab", "ab"), (SPACE, "a"), (SPACE, SPACE), (BREAK, BREAK), ("1", "1"),
          ("\u00c3", "\u00a9"), (SPACE, "\u00c3\u00a9")]  # fmt: skip
SINGLE = ["a", "b", "'", "s", SPACE, BREAK, "1", "-", "\u00c3", "\u00a9"]


def byte_pairs(cutter: pre_tokenizers.PreTokenizer, **options: bool) -> TokenizerVocabulary:
    pieces = [*SINGLE, *("".join(pair) for pair in MERGES)]
    backend = Tokenizer(models.BPE({piece: at for at, piece in enumerate(pieces)}, MERGES, **options))
    backend.pre_tokenizer, backend.decoder = cutter, decoders.ByteLevel()
    backend.add_tokens([AddedToken("-a-", normalized=False)])
    return TokenizerVocabulary(PreTrainedTokenizerFast(tokenizer_object=backend), 99)


def plain() -> TokenizerVocabulary:
    return byte_pairs(pre_tokenizers.ByteLevel(add_prefix_space=False))


def false_proofs(vocabulary: TokenizerVocabulary) -> list[str]:
    """Texts of up to four characters whose own row is said to be that of none."""
    pairs = StrayPairs(vocabulary)
    texts = ["".join(own) for size in range(1, 5) for own in itertools.product("ab's \n1-\u00e9", repeat=size)]
    rows = vocabulary.encode(texts).token_lists()
    return [
        text
        for text, row in zip(texts, rows, strict=True)
        if any(pairs.behind(row[:place])[row[place]] for place in range(1, len(row)))
    ]


def test_no_text_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a broken twin, that takes pairs for strays whatever the tokenizer has cut between them."""
    assert false_proofs(plain()) == []
    monkeypatch.setattr(StrayPairs, "_within", lambda self, before, leads: [True] * len(leads))
    assert len(false_proofs(plain())) > 100


def test_what_is_behind_an_added_token_is_a_text_of_its_own() -> None:
    vocabulary = plain()
    [row] = vocabulary.encode(["-a-'s"]).token_lists()
    assert [vocabulary.pieces[token] for token in row] == ["-a-", "'s"]
    assert not StrayPairs(vocabulary).behind(row[:1])[row[1]]


def test_other_spellings_are_proven_as_far_as_they_are_within_pieces() -> None:
    vocabulary = plain()
    token = {piece: at for at, piece in enumerate(vocabulary.pieces)}

    def found(row: list[str], after: list[str]) -> list[bool]:
        told = strays(Beginnings(vocabulary, vocabulary.size - 1, [[token[piece] for piece in row]], [0]))
        assert told is not None
        return [bool(told[0, token[piece]]) for piece in after]

    assert found(["a"], ["a", "b", "ba", "ab", "1", SPACE]) == [False, True, True, False, False, False]
    assert found([], ["a", "b"]) == [False, False]
    # white space at the end may be cut by what follows, and is not within a piece once something does
    assert found([SPACE], [SPACE]) == [False] and found(["1", SPACE], ["a"]) == [True]
    # nothing is cut within a character; in front of one it is where all that begin so are cut alike
    assert found(["\u00c3"], ["\u00a9", "a"]) == [True, False]
    assert found([SPACE], ["\u00c3\u00a9"]) == [True] and found([SPACE], ["\u00c3"]) == [False]


def test_of_other_tokenizers_nothing_is_proven() -> None:
    whole = pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    for vocabulary in (
        letters("ab"),
        byte_pairs(whole),
        byte_pairs(pre_tokenizers.ByteLevel(add_prefix_space=True)),
        byte_pairs(pre_tokenizers.ByteLevel(add_prefix_space=False), ignore_merges=True),
    ):
        assert strays(Beginnings(vocabulary, 0, [[0]], [0])) is None
