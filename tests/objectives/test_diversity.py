from __future__ import annotations

import math
import warnings

import pytest
import torch

from objectives import AsFluentAs, Brevity, Consensus, Diversity, Fluency, FluencyPerToken
from objectives.diversity import bleu, plain_words
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from textsearch.objective import Cost, FunctionObjective, Objective
from textsearch.testing import LawBroken, check_objective

from .laws import ENGLISH, TEXTS, energies

PAIRS = [
    ("the dog sat on the mat", "the dog sat on the mat"),
    ("the dog sat", "the dog sat on the mat"),
    ("the the the the the", "the dog"),
    ("a dog sat on a big old mat", "the dog sat on the mat"),
    ("dog", "cat"),
    ("dog", "dog"),
    ("a b c d e f", "f e d c b a"),
    ("on the mat sat the dog on the mat", "the dog sat on the mat and on the mat"),
]


@pytest.mark.parametrize(("text", "reference"), PAIRS)
def test_bleu_is_that_of_nltk(text: str, reference: str) -> None:
    score = pytest.importorskip("nltk.translate.bleu_score")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = score.sentence_bleu(
            [reference.split()], text.split(), smoothing_function=score.SmoothingFunction().method1
        )
    assert bleu(text.split(), reference.split()) == pytest.approx(float(wanted), rel=1e-12)


def test_nothing_has_no_bleu() -> None:
    assert bleu([], ["dog"]) == bleu(["dog"], []) == bleu([], []) == 0.0


@pytest.mark.parametrize(
    "objective",
    [
        Diversity("the dog sat on a hot dog"),
        Diversity(TEXTS[::-1]),
        Consensus([TEXTS] * len(TEXTS)),
        Consensus([[text, "the dog"] for text in TEXTS], [[0.0, 2.0], *[[1.0, 3.0]] * (len(TEXTS) - 1)]),
    ],
)
def test_rows_do_not_mix(objective: Objective) -> None:
    check_objective(objective, ENGLISH.encode(TEXTS))
    assert objective.cost is Cost.CHEAP


def test_bleu_to_the_next_row_is_caught() -> None:
    """The broken twin: the source of another row."""
    twin = FunctionObjective(
        lambda texts: [bleu(a.split(), b.split()) for a, b in zip(texts, texts[::-1], strict=True)]
    )
    with pytest.raises(LawBroken):
        check_objective(twin, ENGLISH.encode(TEXTS))


def test_diversity_against_its_definition() -> None:
    for text, value in zip(TEXTS, energies(Diversity("the dog sat on a hot dog")), strict=True):
        share = bleu(plain_words(text), plain_words("the dog sat on a hot dog"))
        assert value == pytest.approx(-math.log(1 - share))


def test_a_copy_is_finite_and_the_worst() -> None:
    found = energies(Diversity(ENGLISH.encode(TEXTS).texts()))
    assert found[1] == pytest.approx(-math.log(0.01))
    assert max(energies(Diversity("the cat ran off"))) < found[1]


def test_brevity_is_the_penalty_of_bleu() -> None:
    """What is longer costs nothing; a twin that praises it for that is caught."""
    source = "the dog sat on a hot dog"
    found = energies(Brevity(source))
    lengths = [len(plain_words(text)) for text in TEXTS]
    assert found == [max(0.0, 7 / own - 1) if own else 7.0 for own in lengths]
    twin = FunctionObjective(lambda texts: [7 / max(len(plain_words(text)), 1) - 1 for text in texts], name="ratio")
    longer = ENGLISH.encode([f"{source} {source}"])
    assert Brevity(source).energy(longer).tolist() == [0.0] and twin.energy(longer).item() < 0


def test_what_is_as_fluent_as_the_nearest_example_costs_nothing(tiny: Tiny) -> None:
    """Examples cost nothing, whatever a model says of them; a twin holds all of them to the likeliest one."""
    lm, examples = tiny.causal(), ["the dog sat", "a cat ran to London"]
    batch = tiny.masked().vocabulary.encode([*examples, "the dog sat down", "a cat ran in London"])
    nats, per_token = Fluency(lm).energy(batch), FluencyPerToken(lm).energy(batch)
    tokens, levels = nats / per_token, per_token[:2] + 1e-6
    found = AsFluentAs(examples, levels.tolist(), lm).energy(batch)
    assert found[:2].tolist() == [0.0, 0.0]
    torch.testing.assert_close(found[2:], (nats[2:] - levels * tokens[2:]).clamp(min=0.0))
    twin = (nats - levels.min() * tokens).clamp(min=0.0)
    assert twin[:2].max() > 0.01
    with pytest.raises(ValueError, match="do not suit 2 examples"):
        AsFluentAs(examples, [1.0], lm)


def test_consensus_against_its_definition() -> None:
    draws, weights = ["the dog sat", "the old dog sat", "a cat"], [1.0, 2.0, 0.5]
    found = energies(Consensus([draws] * len(TEXTS), [weights] * len(TEXTS)))
    for text, value in zip(TEXTS, found, strict=True):
        shares = [w / 3.5 * bleu(plain_words(text), draw.split()) for draw, w in zip(draws, weights, strict=True)]
        assert value == pytest.approx(1 - sum(shares), abs=1e-12)


def test_wrong_input_is_one_error() -> None:
    with pytest.raises(ValueError, match="sources is empty"):
        Diversity([])
    with pytest.raises(ValueError, match=r"draws\[0\] is empty"):
        Consensus([[]])
    with pytest.raises(ValueError, match="do not suit 2 draws"):
        Consensus([["a", "b"]], [[0.0, 0.0]])
    with pytest.raises(ValueError, match=r"weights\[1\]\[0\]=-1.0 must be a finite number of at least 0"):
        Consensus([["a"], ["b"]], [[1.0], [-1.0]])
