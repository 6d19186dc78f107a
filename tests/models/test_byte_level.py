"""Byte-level vocabularies as the state: every text comes back, words are alike wherever they stand."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch

from samplers import Cycle, MetropolisHastings
from samplers.proposals import BlockInfill, InsertDelete, Replace
from tests.models.tiny import Tiny, byte_masked, byte_tokenizer
from tests.models.tiny import tiny as tiny
from tests.objectives.test_canonical import Careless
from tests.tasks.test_infill import fillings
from tests.unicode_texts import unicode_texts
from textsearch import FunctionObjective, generate
from textsearch.batch import Batch
from textsearch.models import first_pieces as matching
from textsearch.models import masked_lm
from textsearch.models.masked import TransformersMaskedLM
from textsearch.models.rendered import keeps_texts
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.spelling import canonical
from textsearch.tasks import infill
from textsearch.testing import ByteVocabulary, LawBroken, TableMaskedLM, check_sampler

VOCABULARY = TokenizerVocabulary(byte_tokenizer("<gap>"), 2**20, leading_space=True)
PLAIN = replace(VOCABULARY, leading_space=False)
NOTHING = FunctionObjective(lambda texts: [0.0] * len(texts), name="nothing")


@pytest.fixture(scope="module")
def mlm(tmp_path_factory: pytest.TempPathFactory) -> TransformersMaskedLM:
    """A random masked model of byte-level pairs."""
    return masked_lm(byte_masked(tmp_path_factory.mktemp("bytes")), device="cpu")


def test_every_text_comes_back() -> None:
    texts = ["", " ", "\n", " a", *unicode_texts(1_500, seed=0)]
    batch = VOCABULARY.encode(texts)
    assert batch.texts() == texts
    assert canonical(batch).all()


def test_what_has_no_tokens_is_refused_or_kept_around_gaps() -> None:
    missing = replace(VOCABULARY)
    vars(missing)["_unwritable"] = frozenset({0xF1})
    text = "a\U00050000b"
    with pytest.raises(ValueError, match=r"no pieces for the character '\\U00050000' of 'a.*'; take it out"):
        missing.encode(["fine", text])
    with pytest.raises(ValueError, match=r"no pieces for the character '\\ud800'"):
        VOCABULARY.encode(["a\ud800"])
    assert missing.gapped([[text + " ", "."]])[1].texts() == [text + " [MASK]."]


def test_a_gap_is_written_as_users_write_it() -> None:
    batch = VOCABULARY.encode(["The [MASK] sat.", "[MASK] sat [MASK]", "The <gap> sat."])
    masks = batch.tokens == VOCABULARY.mask_id
    assert masks.sum(1).tolist() == [1, 2, 0]
    assert batch.texts() == ["The [MASK] sat.", "[MASK] sat [MASK]", "The <gap> sat."]
    filled = batch.tokens.masked_fill(masks, VOCABULARY.encode(["dog"]).tokens[0, 0])
    assert replace(batch, tokens=filled).texts()[:2] == ["The dog sat.", "dog sat dog"]


def test_words_begin_where_readers_see_them() -> None:
    batch = VOCABULARY.encode(["Éa 😀, don't 你"])
    starts = batch.word_starts[0].tolist()
    found = [token for token, begins in zip(batch.token_lists()[0], starts, strict=False) if begins]
    assert batch.word_starts[0, 0]
    # parts of characters go on
    pieces = VOCABULARY._bytes
    assert [pieces[token][:1] for token in found] == [b" ", b" ", b",", b" ", b"'", b" "]


def test_no_line_breaks_are_written_and_no_special_tokens() -> None:
    allowed = {VOCABULARY._bytes[token] for token in VOCABULARY.allowed.nonzero().flatten().tolist()}
    assert {b" ", b" dog", b".", b"\xc3"} <= allowed
    assert not allowed & {b"\n", b"\t", b"\x00", b"<|end|>", b"<gap>"}


def test_a_run_that_may_change_nothing_gives_its_input_back(mlm: TransformersMaskedLM) -> None:
    texts = [text for text in unicode_texts(40, seed=2) if len(mlm.vocabulary.read([text])[0]) < 30]
    start = mlm.vocabulary.encode(texts)
    sampler = MetropolisHastings(Replace(mlm))
    assert generate(NOTHING, sampler, start.frozen(start.present), steps=3, seed=0).texts == texts
    # the twin: it may change what it likes
    assert sum(map(str.__ne__, generate(NOTHING, sampler, start, steps=3, seed=0).texts, texts)) > 2


def test_a_run_that_edits_one_word_changes_nothing_else(tiny: Tiny, mlm: TransformersMaskedLM) -> None:
    parts = [text.replace("[", "(").replace("_", "-") for text in unicode_texts(80, seed=3)]
    pairs = [
        (before, behind)
        for before, behind in zip(parts[::2], parts[1::2], strict=True)
        if len(mlm.vocabulary.read([before + behind])[0]) < 40 and not before[-1:].isalnum()
    ]
    texts = [f"{before}[MASK]{behind}" for before, behind in pairs]
    assert len(texts) > 8
    result = infill(texts, chains=2, steps=2, causal=tiny.causal(), masked=mlm, seed=0)
    for row, text in enumerate(result.texts):
        (filling,) = fillings(text, pairs[row // 2])
        assert filling[0].isalnum() and filling == filling.strip(), text


def test_the_first_word_can_be_replaced_as_any_other(mlm: TransformersMaskedLM) -> None:
    def first_words(model: TransformersMaskedLM) -> set[str]:
        sampler = MetropolisHastings(Replace(model))
        texts = ["dog sat"] * 40
        result = generate(NOTHING, sampler, model.vocabulary.encode(texts), steps=20, seed=0)
        return {text[:3] for text in result.texts}

    assert len(first_words(mlm)) > 1
    # the twin reads no space in front: what begins a text is spelt as nothing else is
    assert first_words(replace(mlm, vocabulary=replace(mlm.vocabulary, leading_space=False))) == {"dog"}


def test_the_same_tokens_need_no_matching(mlm: TransformersMaskedLM) -> None:
    causal = replace(mlm.vocabulary, leading_space=False)
    found = matching.first_pieces(mlm.vocabulary, causal)
    slow = matching._matched(mlm.vocabulary, causal)
    words = mlm.vocabulary.encode(["dog the cat old"]).token_lists()[0]
    assert torch.equal(found[:, words], slow[:, words])
    assert torch.equal(found[0], torch.arange(mlm.vocabulary.size))
    written = [causal._bytes[token] for token in found[1, words].tolist()]
    assert all(b"dog the cat old".count(piece) for piece in written) and written[0][:1] == b"d"
    # other tokens are matched
    other = TokenizerVocabulary(byte_tokenizer(), 63)
    assert matching._same(mlm.vocabulary, other) is None
    assert matching._same(causal, causal) is None


def test_answers_do_not_depend_on_the_batch(mlm: TransformersMaskedLM) -> None:
    batch = mlm.vocabulary.encode(["The dog sat.", "é😀 a", "dog"])
    rows, places = torch.tensor([0, 1, 2, 1]), torch.tensor([1, 2, 0, 0])
    together = mlm.forgetful().log_probs(batch, rows, places)
    for number, (row, place) in enumerate(zip(rows.tolist(), places.tolist(), strict=True)):
        own = mlm.forgetful().log_probs(batch.rows([row]).narrow(), torch.tensor([0]), torch.tensor([place]))
        assert own[0].equal(together[number])


TOY = ByteVocabulary((b"_", b" a", b" b", b" ab", b"b", b" \xc3", b"\xa9"), leading_space=True)
"""Of words with their spaces, a word of two spellings, and parts of a character."""


def texts_of(vocabulary: ByteVocabulary, longest: int) -> list[str]:
    """All texts, each once, of rows of so many tokens at most."""
    rows = [
        list(row) for size in range(longest + 1) for row in itertools.product(range(1, vocabulary.size), repeat=size)
    ]
    batch = Batch.of(rows, vocabulary)
    return batch.rows(canonical(batch)).texts()


def toy_sampler(vocabulary: Any) -> Any:
    model = TableMaskedLM.random(vocabulary, seed=1)
    settings: dict[str, Any] = {"pieces": (0.5, 0.5), "max_length": 2}
    return Cycle(
        [
            MetropolisHastings(Replace(model, **settings)),
            MetropolisHastings(InsertDelete(model, **settings)),
            MetropolisHastings(BlockInfill(model, words=(1, 2), **settings)),
        ]
    )


def test_the_laws_are_those_of_texts() -> None:
    texts = texts_of(TOY, 2)
    assert {"", "ab", "é", "a b", "bb"} <= set(texts) and len(set(texts)) == len(texts)
    check_sampler(toy_sampler(TOY), texts, chains=2_000)
    with pytest.raises(LawBroken, match="a chain came to"):
        check_sampler(toy_sampler(Careless(TOY)), texts, chains=2_000)


def test_such_vocabularies_are_told_by_what_they_keep() -> None:
    assert keeps_texts(VOCABULARY) and keeps_texts(TOY)
    assert not keeps_texts(PLAIN)
    assert PLAIN.encode(["The dog"]).texts() == ["The dog"]
    again = pickle.loads(pickle.dumps(VOCABULARY))
    assert again.encode(["The  dog"]).texts() == ["The  dog"] and again.leading_space
