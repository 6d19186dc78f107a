"""What a user wrote comes back as it was written: around gaps character by character, in keywords as spelt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tests.models.test_vocabulary import BYTES, CASED, WORDPIECE
from tests.models.tiny import PIECES, Tiny, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.models.guided import GuidedMaskedLM
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.spelling import canonical

LONG = replace(WORDPIECE, longest=10_000)
ODD = [
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\u00a0",
    "\u200d",
    "\u2028",
    "\ufeff",
    "\x00",
    "[CLS]",
    "##ed",
    "``",
    "**",
    "e\u0301",
]
POOLS: list[Callable[[random.Random], str]] = [
    lambda draw: draw.choice(["the", "Dog", "CAT", "don't", "U.S.", "3.5", "well-known", "sat."]),
    lambda draw: draw.choice(ODD),
    lambda draw: chr(draw.randrange(32, 127)),
    lambda draw: chr(draw.choice([draw.randrange(0xD800), draw.randrange(0xE000, 0x110000)])),
    lambda draw: chr(draw.randrange(0x4E00, 0x9FFF)),
    lambda draw: chr(draw.randrange(0x590, 0x700)),
    lambda draw: chr(draw.randrange(0x1F300, 0x1F700)),
]


def parts(draw: random.Random) -> list[str]:
    """What stands between one to four gaps."""
    return [
        "".join(draw.choice(POOLS)(draw) + draw.choice(["", " "]) for _ in range(draw.randrange(9)))
        for _ in range(draw.randrange(2, 6))
    ]


@pytest.mark.parametrize("vocabulary", [LONG, replace(CASED, longest=10_000)], ids=["uncased", "cased"])
def test_all_around_the_gaps_is_as_it_was_written(vocabulary: TokenizerVocabulary) -> None:
    draw = random.Random(0)
    texts = [parts(draw) for _ in range(1_000)]
    _, batch = vocabulary.gapped(texts)
    assert batch.texts() == ["[MASK]".join(own) for own in texts]
    gaps = batch.tokens == vocabulary.mask_id
    assert batch.editable.equal(gaps) and gaps.sum(1).tolist() == [len(own) - 1 for own in texts]
    filled = replace(batch, tokens=batch.tokens.masked_fill(gaps, PIECES.index("dog")))
    for text, own in zip(filled.texts(), texts, strict=True):
        rest = text
        for number, part in enumerate(own):
            assert rest.startswith(part)
            rest = rest[len(part) :]
            if number < len(own) - 1:
                assert rest[:3].lower() == "dog"
                rest = rest[3:]
        assert rest == ""
    # the twin: the same tokens without what their texts were
    plain = replace(filled, vocabulary=vocabulary).texts()
    assert sum(one != other for one, other in zip(plain, filled.texts(), strict=True)) > 900


def test_bytes_keep_what_is_around_too() -> None:
    draw = random.Random(1)
    texts = [parts(draw) for _ in range(200)]
    _, batch = replace(BYTES, longest=10_000).gapped(texts)
    dog = BYTES.pieces.index("Ġdog")
    filled = replace(batch, tokens=batch.tokens.masked_fill(batch.editable, dog))
    assert filled.texts() == ["dog".join(own) for own in texts]


def test_words_of_many_pieces_stand_in_one_gap() -> None:
    _, batch = LONG.gapped([["It's  ", "", " of ", "!"]])
    kept = batch.tokens[0, :3].tolist(), batch.tokens[0, 5:6].tolist(), batch.tokens[0, 7:].tolist()
    words = [[PIECES.index(piece) for piece in word] for word in (["w", "##a", "##l", "##k"], ["i"], ["london"])]
    row = [*kept[0], *words[0], *words[1], *kept[1], *words[2], *kept[2]]
    longer = replace(
        LONG.encode([""]).widen(len(row)),
        tokens=torch.tensor([row]),
        lengths=torch.tensor([len(row)]),
        editable=torch.tensor([[False] * 3 + [True] * 5 + [False] + [True] + [False]]),
        vocabulary=batch.vocabulary,
    )
    assert longer.texts() == ["It's  walkI of London!"]
    assert LONG.gapped([["so it is. ", " sat, ", ""]])[0].sources[0].gaps == {4: (" ",), 6: (" ",)}


def test_a_capital_begins_a_sentence_in_a_gap() -> None:
    _, batch = LONG.gapped([["", " sat. ", " ran."]])
    filled = replace(batch, tokens=batch.tokens.masked_fill(batch.editable, PIECES.index("dog")))
    assert filled.texts() == ["Dog sat. Dog ran."]


def test_words_in_gaps_have_one_spelling() -> None:
    _, batch = LONG.gapped([["It's 😀 ", " of\t", "!"]])
    rows = []
    for pieces in (
        ["dogs", "i"],
        ["dog", "##s", "i"],
        ["l", "##o", "##n", "##d", "##o", "##n", "i"],
        ["i", "w", "##a", "##s"],
    ):
        tokens = [PIECES.index(piece) for piece in pieces]
        first = len(tokens) - 1 if pieces[-1] == "i" else 1
        kept = batch.token_lists()[0]
        at = [place for place, token in enumerate(kept) if token == LONG.mask_id]
        row = [*kept[: at[0]], *tokens[:first], *kept[at[0] + 1 : at[1]], *tokens[first:], *kept[at[1] + 1 :]]
        editable = (
            [False] * at[0] + [True] * first + [False] * (at[1] - at[0] - 1) + [True] * (len(tokens) - first) + [False]
        )
        rows.append((row, editable))
    width = max(len(row) for row, _ in rows)
    many = replace(
        batch.rows([0] * len(rows)).widen(width),
        tokens=torch.tensor([row + [0] * (width - len(row)) for row, _ in rows]),
        lengths=torch.tensor([len(row) for row, _ in rows]),
        editable=torch.tensor([editable + [False] * (width - len(editable)) for _, editable in rows]),
    )
    assert canonical(many).tolist() == [True, False, False, False]
    assert many.texts()[0] == many.texts()[1] == "It's 😀 dogs of\tI!"
    # read as any other text, none of them could be written at all
    assert canonical(replace(many, vocabulary=LONG)).tolist() == [False] * 4


def test_texts_too_long_for_the_model_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of 39 tokens is over .* 38: '!!!.*shorten or split"):
        WORDPIECE.gapped([["!" * 38, ""]])


def test_the_causal_model_reads_the_text_before_a_gap_as_it_was_written(tiny: Tiny) -> None:
    masked = tiny.masked()
    vocabulary, batch = masked.vocabulary.gapped([["The CAFÉ\t", " (", ")\n", ""]])
    guided = GuidedMaskedLM(replace(masked, vocabulary=vocabulary), tiny.causal())
    places = batch.editable[0].nonzero().flatten()
    for done, (place, left, tight) in enumerate(
        zip(
            places.tolist(), ["The CAFÉ\t", "The CAFÉ\tdog (", "The CAFÉ\tdog (dog)\n"], [True, True, True], strict=True
        )
    ):
        row = replace(batch, tokens=batch.tokens.clone())
        row.tokens[0, places[:done]] = PIECES.index("dog")
        assert guided._left(row, torch.tensor([place])) == ([left], [tight])
    vocabulary, spaced = masked.vocabulary.gapped([["The old ", ""]])
    guided = GuidedMaskedLM(replace(masked, vocabulary=vocabulary), tiny.causal())
    assert guided._left(spaced, torch.tensor([2])) == (["The old"], [False])


SPELT = ["iPhone", "NASA", "C++", "U.S.", "don't", "New York", "naïve", "COVID-19", "e-mail", "$5.00", "p.m."]
PLUS = TokenizerVocabulary(wordpiece_tokenizer([*PIECES, "+"]), 38)


@pytest.mark.parametrize("phrase", SPELT)
def test_phrases_are_spelt_as_they_were_written(phrase: str) -> None:
    vocabulary = replace(PLUS, spellings=(PLUS.spelling([phrase]),))
    batch = vocabulary.encode([f"we saw {phrase} and {phrase} too", f"{phrase} ran"])
    begun = phrase[:1].upper() + phrase[1:] if phrase == phrase.lower() else phrase
    first = batch.rows([0])
    assert first.texts() == [f"We saw {phrase} and {phrase} too"]
    assert vocabulary.encode(first.texts()).token_lists() == first.token_lists()
    assert replace(batch, inputs=torch.zeros(2, dtype=torch.int64)).texts()[1] == f"{begun} ran"
    # of an input without the phrase nothing is known
    assert batch.texts()[1] == PLUS.encode([f"{phrase} ran"]).texts()[0]


def test_a_sentence_may_end_with_a_phrase() -> None:
    vocabulary = replace(PLUS, spellings=(PLUS.spelling(["in New York?", "U.S.", "Yahoo!"]),))
    texts = ["Who ran in New York? The dog.", "The U.S. dog ran.", "The Yahoo! dog ran."]
    assert replace(vocabulary.encode(texts), inputs=torch.zeros(3, dtype=torch.int64)).texts() == texts


def test_some_spellings_are_lost_without() -> None:
    lost = [phrase for phrase in SPELT if PLUS.encode([f"we saw {phrase}"]).texts() != [f"We saw {phrase}"]]
    assert {"iPhone", "C++", "U.S.", "naïve", "p.m."} <= set(lost)


def test_what_needs_no_spelling_has_none() -> None:
    assert PLUS.spelling(["dog", "well-known", "london", "London", "the old dog", "猫"]) == {}
    assert BYTES.spelling(["iPhone"]) == {}
