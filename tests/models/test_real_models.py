"""The default models, on request alone: `pytest -m models`."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from objectives import Fluency
from objectives.preserve import facts
from samplers import MetropolisHastings
from samplers.proposals import Replace
from tests.unicode_texts import unicode_texts
from textsearch import generate
from textsearch.models import causal_lm, masked_lm
from textsearch.models.vocabulary import TokenizerVocabulary
from textsearch.rng import Rng
from textsearch.tasks import correct

pytestmark = pytest.mark.models

SENTENCES = [
    f"{subject} {verb} {rest}"
    for subject, verb, rest in product(
        ["The old dog", "My sister's friend", "Nobody in London", "It"],
        ["ran", "was never seen", "told us a story", "walked slowly past the station"],
        [".", "again, and nobody knew why.", "because it was cold?", "on the first Monday of the year 1999!"],
    )
]


def test_scores_do_not_depend_on_the_batch() -> None:
    lm = causal_lm(device="cpu")
    batch = lm.vocabulary.encode(SENTENCES)
    assert len(batch) == 64
    scores = {}
    for size in (1, 4, 64):
        lm._known.clear()
        parts = [lm.score(batch.rows(list(range(at, at + size)))).log_prob for at in range(0, 64, size)]
        scores[f"batches of {size}"] = torch.cat(parts)
    lm._known.clear()
    scores["padded"] = lm.score(batch.widen(batch.width + 17)).log_prob
    for way, found in scores.items():
        apart = (found - scores["batches of 64"]).abs()
        assert found.equal(scores["batches of 64"]), (
            f"{way}: {int((apart > 0).sum())} differ, by up to {apart.max():.1e}"
        )
    per_token = -scores["padded"].sum() / (batch.lengths + 1).sum()
    assert 2.0 < per_token < 6.0


def test_continuations_do_not_depend_on_the_batch() -> None:
    lm = causal_lm(device="cpu")
    rng = Rng.start(0, 6)
    prompt = lm.ask("Write one sentence with the words dog and river.")
    texts = lm.continuations(prompt, rng, most=12)
    assert lm.continuations(prompt, rng.rows([4, 1]), most=12) == [texts[4], texts[1]]
    assert any(texts)


def test_chains_do_not_depend_on_one_another() -> None:
    sampler = MetropolisHastings(Replace(masked_lm(device="cpu")))
    causal = causal_lm(device="cpu")
    start = ["The old dog ran past the station.", "It was cold in London on Monday."]

    def run(chains: int) -> list[list[float]]:
        """(chains, steps) energies of the chains of the first text."""
        causal._known.clear()
        result = generate(Fluency(causal), sampler, start[:1], steps=40, seed=3, chains=chains)
        return [list(map(float, row)) for row in result.trace.T]

    together = run(8)
    assert run(1)[0] == together[0]
    assert len({tuple(row) for row in together}) > 1


KEPT_BY_CORRECTION = {
    "Please write to jon.smtih@exmaple.com about it.": "Please write to jon.smtih@exmaple.com about it.",
    "Write jon.smtih@exmaple.com for more.": "Write jon.smtih@exmaple.com for more.",
    "Thanks @mikky for the tip.": "Thanks @mikky for the tip.",
    "Call my_fucntion() befor you start.": "Call my_fucntion() before you start.",
    "She wrote a naïve résumé.": "She wrote a naïve résumé.",
    "# Title": "# Title",
    "# Titel\n\nThis are a text.": "# Title\n\nThis is a text.",
    "We need 5 kg of flour.": "We need 5 kg of flour.",
    "Is it you?": "Is it you?",
    "The sun was seting.": "The sun was setting.",
    "Teh": "The",
    "I SAW HIM YESTERDAY AT NOON.": "I SAW HIM YESTERDAY AT NOON.",
    "YESTERDAY": "YESTERDAY",
    "Young people do enjoy life more than older people do.": "Young people do enjoy life more than older people do.",
    "See https://exmaple.com/teh-page, pleas.": "See https://exmaple.com/teh-page, please.",
    'He said "x = foo(bar)" to me.': 'He said "x = foo(bar)" to me.',
}
"""Texts, and what correction makes of them."""


def test_correction_mends_what_is_wrong_and_keeps_the_rest() -> None:
    found = correct(list(KEPT_BY_CORRECTION), steps=60, seed=0).best_texts
    assert dict(zip(KEPT_BY_CORRECTION, found, strict=True)) == KEPT_BY_CORRECTION


def test_correction_keeps_what_a_text_denies_and_can_do() -> None:
    texts = [
        "I go can there",
        "In my opinion young people do enjoy their life more than the old peoples.",
        "I no that.",
    ]
    found = correct(texts, steps=60, seed=0).best_texts
    assert list(map(facts, found)) == list(map(facts, texts))
    assert "enjoy" in found[1] and found[0] != "I went there."


def test_every_text_comes_back_from_the_tokens_of_the_default_causal_model() -> None:
    vocabulary = TokenizerVocabulary(causal_lm().vocabulary.tokenizer, 2**20, leading_space=True)
    # this tokenizer has no token for eight bytes, two of which begin all characters of the planes 4 to 11
    texts = unicode_texts(10_000, seed=1)
    for text, back in zip(texts, vocabulary.encode(texts).texts(), strict=True):
        assert back == text
    with pytest.raises(ValueError, match=r"no pieces for the character '\\x04' of 'a\\x04b'"):
        vocabulary.encode(["a\x04b"])
