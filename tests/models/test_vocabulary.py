"""Tokenizers as vocabularies: what goes in comes out, and what cannot is refused."""

from __future__ import annotations

import pytest
import torch

from tests.models.tiny import FEW, PIECES, TEXTS, Tiny, byte_tokenizer, word_tokenizer, wordpiece_tokenizer
from tests.models.tiny import tiny as tiny
from textsearch.batch import Batch
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.spelling import canonical

WORDPIECE = TokenizerVocabulary(wordpiece_tokenizer(), 38)
CASED = TokenizerVocabulary(wordpiece_tokenizer([*PIECES, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "The"], lower=False), 38)
BYTES = TokenizerVocabulary(byte_tokenizer(), 63)
FEW_WORDS = TokenizerVocabulary(word_tokenizer(FEW), 63)
MANY_WORDS = TokenizerVocabulary(word_tokenizer(FEW, unk_token="<other>", eos_token="</s>"), 63)

every_vocabulary = pytest.mark.parametrize(
    "vocabulary", [WORDPIECE, CASED, BYTES, FEW_WORDS], ids=["WordPiece", "cased WordPiece", "bytes", "words"]
)


def pieces_of(vocabulary: TokenizerVocabulary, batch: Batch) -> list[list[str]]:
    return [[vocabulary.pieces[token] for token in row] for row in batch.token_lists()]


@pytest.mark.parametrize("vocabulary", [WORDPIECE, BYTES], ids=["WordPiece", "bytes"])
def test_plain_sentences_come_back(vocabulary: TokenizerVocabulary) -> None:
    batch = vocabulary.encode(TEXTS)
    assert batch.texts() == [text[:1].upper() + text[1:] if vocabulary is WORDPIECE else text for text in TEXTS]
    assert batch.lengths.min() == 0
    assert batch.inputs.tolist() == list(range(len(TEXTS)))
    assert batch.editable.equal(batch.present)


@every_vocabulary
def test_rendering_settles(vocabulary: TokenizerVocabulary) -> None:
    once = vocabulary.encode(["the dog", "old cat", "sat and ran", ""]).texts()
    assert vocabulary.encode(once).texts() == once
    assert vocabulary.encode(once).texts() == vocabulary.encode(once).texts()


@every_vocabulary
def test_no_texts_and_texts_of_no_tokens(vocabulary: TokenizerVocabulary) -> None:
    none = vocabulary.encode([])
    assert len(none) == 0
    assert none.texts() == []
    empty = vocabulary.encode(["", ""])
    assert empty.lengths.tolist() == [0, 0]
    assert empty.texts() == ["", ""]


@every_vocabulary
def test_sizes_agree(vocabulary: TokenizerVocabulary) -> None:
    assert len(vocabulary.pieces) == vocabulary.size == len(vocabulary.tokenizer)
    assert vocabulary.allowed.shape == vocabulary.continues.shape == (vocabulary.size,)
    assert vocabulary.allowed.dtype == vocabulary.continues.dtype == torch.bool
    assert all(vocabulary.tokenizer.convert_tokens_to_ids(piece) == i for i, piece in enumerate(vocabulary.pieces))


def test_no_special_tokens_around_texts() -> None:
    assert pieces_of(WORDPIECE, WORDPIECE.encode(["The dogs walked"])) == [
        ["the", "dogs", "w", "##a", "##l", "##k", "##ed"]
    ]


def test_a_mask_in_a_text_is_the_mask() -> None:
    batch = WORDPIECE.encode(["The [MASK] sat on [MASK]."])
    assert (batch.tokens[0] == WORDPIECE.mask_id).nonzero().flatten().tolist() == [1, 4]
    assert batch.texts() == ["The [MASK] sat on [MASK]."]
    assert WORDPIECE.pieces[WORDPIECE.mask_id] == "[MASK]"


def test_unknown_characters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no pieces for part of 'a 猫 sat' .*\[UNK\].*write it with other characters"):
        WORDPIECE.encode(["the dog", "a 猫 sat"])


def test_unknown_words_of_a_causal_vocabulary_are_refused() -> None:
    # it has no mask token, and its unknown token serves as the mask: unknown words are no masks for that
    with pytest.raises(ValueError, match="no pieces for part of 'the zebra'"):
        MANY_WORDS.encode(["the zebra"])


@pytest.mark.parametrize(("vocabulary", "longest"), [(WORDPIECE, 38), (BYTES, 63)], ids=["WordPiece", "bytes"])
def test_over_long_texts_are_refused(vocabulary: TokenizerVocabulary, longest: int) -> None:
    fits = vocabulary.encode(["!" * longest])
    assert fits.lengths.tolist() == [longest]
    with pytest.raises(ValueError, match=rf"of {longest + 1} tokens is over .* {longest}: '!!!.*shorten or split"):
        vocabulary.encode(["the dog", "!" * (longest + 1)])


def test_continues_marks_pieces_within_words() -> None:
    assert WORDPIECE.continues.tolist() == [piece.startswith("##") for piece in PIECES]
    batch = WORDPIECE.encode(["the cat walked"])
    assert batch.word_starts[0].tolist() == [True, True, True, False, False, False, False]
    begins = {piece for piece, goes_on in zip(BYTES.pieces, BYTES.continues.tolist(), strict=True) if not goes_on}
    assert {"Ġdog", "Ġ", ".", ","} <= begins
    assert not begins & {"d", "og", "ing"}
    assert not FEW_WORDS.continues.any()


def test_allowed_tokens_are_words_and_punctuation() -> None:
    allowed = {piece for piece, may in zip(WORDPIECE.pieces, WORDPIECE.allowed.tolist(), strict=True) if may}
    assert allowed == set(PIECES) - {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"}
    odd = [*PIECES, "猫", "##é", "–", "[unused17]"]
    vocabulary = TokenizerVocabulary(wordpiece_tokenizer(odd), 38)
    assert not vocabulary.allowed[-4:].any()
    assert vocabulary.allowed[:-4].equal(WORDPIECE.allowed)


def test_a_chinese_vocabulary_may_write_chinese() -> None:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天很好我们走吧猫狗人山水。，！", "##人", "a", "b"]
    vocabulary = TokenizerVocabulary(wordpiece_tokenizer(pieces), 38)
    # no text is spelt with a Chinese character that goes on a word
    wanted = [not piece.startswith(("[", "##")) for piece in pieces]
    assert vocabulary.allowed.tolist() == wanted
    assert vocabulary.encode(["今天很好。我们走吧！"]).texts() == ["今天很好。我们走吧！"]


def test_ids_without_a_piece_are_not_allowed() -> None:
    vocabulary = {piece: index for index, piece in enumerate(PIECES)}
    vocabulary["later"] = len(PIECES) + 3
    from transformers import BertTokenizerFast

    holes = TokenizerVocabulary(BertTokenizerFast(vocab=vocabulary), 38)
    assert holes.size == len(PIECES) + 4
    assert holes.allowed[len(PIECES) :].tolist() == [False, False, False, True]


@every_vocabulary
def test_no_special_token_is_allowed(vocabulary: TokenizerVocabulary) -> None:
    assert not vocabulary.allowed[torch.tensor(vocabulary.tokenizer.all_special_ids)].any()
    assert vocabulary.allowed.any()


def test_capitals_come_back_only_where_they_were_lost() -> None:
    assert WORDPIECE.lower_cases
    assert not CASED.lower_cases
    assert not BYTES.lower_cases
    assert WORDPIECE.encode(["the dog in london. so"]).texts() == ["The dog in London. So"]
    assert CASED.encode(["the dog in london. so The A"]).texts() == ["the dog in london. so The A"]


def test_the_whole_of_wordpiece_renders() -> None:
    every = Batch.of([[token] for token in range(WORDPIECE.size)], WORDPIECE)
    texts = dict(zip(WORDPIECE.pieces, every.texts(), strict=True))
    assert texts["dog"] == "Dog"
    assert texts["##ing"] == "##ing"
    assert texts["[SEP]"] == "[SEP]"


def test_adapters_limit_texts_to_what_their_models_read(tiny: Tiny) -> None:
    masked, causal = tiny.masked(), tiny.causal()
    assert masked.vocabulary.longest == 64 - 2
    assert causal.vocabulary.longest == 64 - 1
    longest = masked.vocabulary.encode(["!" * 62])
    assert masked.log_probs(longest, torch.tensor([0]), torch.tensor([61])).isfinite().all()
    assert causal.score(causal.vocabulary.encode(["!" * 63])).log_prob.isfinite().all()


def test_what_no_text_is_spelt_with_may_not_be_written() -> None:
    vocabulary = TokenizerVocabulary(wordpiece_tokenizer([*PIECES, "...", "!?"]), 38)
    batch = vocabulary.encode(["."])
    wrong = [vocabulary.pieces.index(piece) for piece in ("...", "!?")]
    for token in wrong:
        other = batch.with_tokens(torch.tensor([0]), torch.tensor([token]))
        assert canonical(other).tolist() == [False]
    assert not vocabulary.allowed[wrong].any()
    assert vocabulary.allowed[vocabulary.pieces.index(".")]
    assert canonical(batch).tolist() == [True]
