"""Where texts are the bytes of their tokens, one after another, and where they are not."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch

from tests.models.tiny import FEW, byte_tokenizer, word_tokenizer, wordpiece_tokenizer
from textsearch.batch import Batch
from textsearch.beginnings import Beginnings, TokenBytes
from textsearch.models.checkpoints.characters import SPECIALS, character_tokenizer
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.testing import ByteVocabulary, letters


def sentencepiece(*, strip: bool) -> Any:
    """Pieces with a mark for the space, single bytes where there is no piece."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    pieces = ["<unk>", "▁the", "▁", "d", "og", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokenizer: Any = Tokenizer(models.BPE({piece: i for i, piece in enumerate(pieces)}, [], byte_fallback=True))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False)


CONCATENATED = {
    "bytes": TokenizerVocabulary(byte_tokenizer(), 63),
    "pieces and bytes": TokenizerVocabulary(sentencepiece(strip=False), 63),
    "characters": TokenizerVocabulary(character_tokenizer([*SPECIALS.values(), *"春天ab"]), 63),
    "letters": letters("abé"),
    "toy bytes": ByteVocabulary((b"_", b"a", b"ab", b"\xc3", b"\xa9")),
}
OTHERS = {
    "WordPiece": TokenizerVocabulary(wordpiece_tokenizer(), 38),
    "words between spaces": TokenizerVocabulary(word_tokenizer(FEW), 63),
    "the first space is stripped": TokenizerVocabulary(sentencepiece(strip=True), 63),
    "texts with gaps": TokenizerVocabulary(byte_tokenizer(), 63).gapped([["a ", " b"]])[0],
}


@pytest.mark.parametrize("vocabulary", CONCATENATED.values(), ids=CONCATENATED.keys())
def test_a_text_is_the_bytes_of_its_tokens(vocabulary: Any) -> None:
    known: object = vocabulary
    assert isinstance(known, TokenBytes)
    pieces = known.token_bytes
    assert len(pieces) == vocabulary.size and list(pieces) == [pieces[token] for token in range(vocabulary.size)]
    rows = torch.randint(vocabulary.size, (400, 6), generator=torch.Generator().manual_seed(0)).tolist()
    for row, text in zip(rows, Batch.of(rows, vocabulary).texts(), strict=True):
        written = b"".join(pieces[token] for token in row)
        # how many characters stand for what is no UTF-8 is the decoder's own affair
        assert text == written.decode(errors="replace") or "�" in text
    assert Beginnings(vocabulary, 0, rows[:1], [0]).written == (b"".join(pieces[token] for token in rows[0]),)


@pytest.mark.parametrize("vocabulary", OTHERS.values(), ids=OTHERS.keys())
def test_other_vocabularies_have_no_such_attribute(vocabulary: Any) -> None:
    assert not isinstance(vocabulary, TokenBytes)
    assert not hasattr(vocabulary, "token_bytes")
    assert Beginnings(vocabulary, 0, [[1]], [0]).written is None


def test_the_twin_that_joins_the_bytes_of_a_wordpiece_is_wrong() -> None:
    """The control: of such a tokenizer a text is not its pieces, one after another."""
    vocabulary = OTHERS["WordPiece"]
    row = vocabulary.encode(["the dog"]).token_lists()[0]
    assert "".join(vocabulary.pieces[token] for token in row) != vocabulary.encode(["the dog"]).texts()[0]


def test_it_travels() -> None:
    again = pickle.loads(pickle.dumps(CONCATENATED["bytes"]))
    known: Any = CONCATENATED["bytes"]
    assert list(again.token_bytes) == list(known.token_bytes)
