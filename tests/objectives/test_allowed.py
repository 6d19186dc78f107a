"""What hard terms allow at a site: the laws of the hint, for every line of a table, and twins that break them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from objectives import Acrostic, Couplet, Forbidden, Keywords, Only, Rhyme, Template
from objectives.word_sites import TokenWords, WordSites
from tests.models.tiny import Tiny
from tests.models.tiny import tiny as tiny
from tests.objectives.laws import ENGLISH, TEXTS
from tests.objectives.table import sizes
from textsearch.batch import Batch
from textsearch.objective import FunctionObjective, Objective, allowed_by
from textsearch.testing import LawBroken, TableMaskedLM, check_allowed, letters

SENTENCES = [
    *TEXTS,
    "the dog ran",
    "a cat sat on the dog",
    "cat",
    "the cat's dog - don't ran",  # words that are not tokens
    "ran dog-cat",
    "well known dogs",
    "a clapping dog, clapped!",
]

HINTS: dict[str, Objective] = {
    "acrostic": Acrostic("tdr"),
    "acrostic, beginning": Acrostic("tc", whole=False),
    "acrostic of clauses": Acrostic("t", clauses=True),
    "rhyme": Rhyme("cat"),
    "rhyme, each input its own": Only(Rhyme(["cat", "man"]), [1, 3]),
    "forbidden": Forbidden(["dog", "clap", "on the"]),
    "forbidden phrase": Forbidden(["hot dog"]),
    "forbidden, inflected": Forbidden(["dog", "cat"], inflections=True),
    "a sum": Acrostic("tdr") + 3.0 * Forbidden(["dog"]) + FunctionObjective(lambda texts: [0.0] * len(texts)),
    "a couplet": Couplet("we do at", sizes),
    "a couplet with words that come again": Couplet("it at it", sizes),
    "a template": Template("the * sat"),
}


@pytest.mark.parametrize("objective", HINTS.values(), ids=HINTS.keys())
def test_hints_see_the_other_tokens_and_forbid_nothing_that_fits(objective: Objective) -> None:
    batch = ENGLISH.encode(SENTENCES)
    check_allowed(objective, replace(batch, inputs=torch.arange(len(batch)) % 4))


def test_hints_of_letters_that_are_no_words_say_nothing() -> None:
    """In a vocabulary that writes its tokens without spaces "ab" is one word of two tokens."""
    check_allowed(Acrostic("ab") + Forbidden(["a"]), ["ab", "a", "b", "ba", "aba"])


@pytest.mark.parametrize(
    ("objective", "text", "place", "words"),
    [
        (Acrostic("tdr"), "the cat ran", 1, {"dog", "don"}),
        (Acrostic("tdr"), "the cat, ran", 3, {"ran", "run"}),
        (Acrostic("td", whole=False), "the dog ran", 2, None),
        (Acrostic("td"), "the dog ran", 2, set()),
        (Rhyme("cat"), "the dog ran.", 2, {"at", "sat"}),
        (Rhyme("cat"), "the dog ran.", 1, None),
        (Acrostic("td") + Forbidden(["dog"]), "the cat", 1, {"don"}),
        # what stands beside an apostrophe or before a piece may be no word of its own
        (Acrostic("tdr"), "the dog's ran", 1, None),
        (Couplet("we at we", sizes), "the dog the", 2, {"the"}),
        (Forbidden(["dog"]), "dogs ran", 0, None),
        (Forbidden(["hot dog"]), "hot cat", 1, None),
    ],
)
def test_words_that_fit(objective: Objective, text: str, place: int, words: set[str] | None) -> None:
    batch = ENGLISH.encode([text])
    found = allowed_by(objective, batch, torch.tensor([0]), torch.tensor([place]))
    tokens = TokenWords.of(ENGLISH)
    row = torch.ones(ENGLISH.size, dtype=torch.bool) if found is None else found[0]
    if words is None:
        assert bool(row.all())
    else:
        assert {word for word, ok in zip(tokens.words, row.tolist(), strict=True) if word and ok} == words
        # marks and pieces always may
        assert bool(row[~tokens.is_word].all())


def test_open_masks_count_as_words(tiny: Tiny) -> None:
    vocabulary = tiny.masked().vocabulary
    batch = vocabulary.encode(["the [MASK] [MASK] mat."])
    sites = WordSites.of(batch, torch.tensor([0, 0]), torch.tensor([1, 2]))
    assert (sites.before, sites.after, sites.certain) == ([1, 2], [2, 1], [True, True])
    # what tokens write is worked out once, however texts are rendered
    assert TokenWords.of(vocabulary.rendering(spellings=({},))) is TokenWords.of(vocabulary)


@dataclass(frozen=True, eq=False)
class Hint(Objective):
    """Texts without "dog", with a hint of one's own."""

    function: Callable[[Batch, Tensor, Tensor], Tensor]

    def energy(self, batch: Batch) -> Tensor:
        return Forbidden(["dog"]).energy(batch)

    def allowed(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        return self.function(batch, rows, positions)


def everything(batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
    return torch.ones(len(rows), ENGLISH.size, dtype=torch.bool)


def not_what_stands_there(batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
    return everything(batch, rows, positions).scatter(1, batch.tokens[rows, positions][:, None], False)


def not_at_the_end(batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
    found = everything(batch, rows, positions)
    found[positions == batch.width - 1] = False
    return found


def of_the_first(batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
    found = everything(batch, rows, positions)
    found[1:, ENGLISH.pieces.index("dog")] = False
    return found


def not_the_cat(batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
    found = everything(batch, rows, positions)
    found[:, ENGLISH.pieces.index("cat")] = False
    return found


TWINS = {
    "looks at the token": ("the other tokens only", not_what_stands_there),
    "by the padding": ("padding", not_at_the_end),
    "by the number of the place": ("alone", of_the_first),
    "forbids what fits": ("nothing that fits", not_the_cat),
    "counts": ("shape and type", lambda *asked: everything(*asked).double()),
}


@pytest.mark.parametrize(("law", "function"), TWINS.values(), ids=TWINS.keys())
def test_broken_hints_are_caught(law: str, function: Callable[[Batch, Tensor, Tensor], Tensor]) -> None:
    batch = ENGLISH.encode(["the dog ran", "the cat sat"])
    assert len(check_allowed(Hint(everything), batch).laws) == 5
    with pytest.raises(LawBroken, match=f"Hint breaks the law of {law!r}"):
        check_allowed(Hint(function), batch)


def test_a_term_of_somebody_else_s_needs_no_hint() -> None:
    class Other:
        """Not even derived from `Objective`."""

    assert allowed_by(Other(), ENGLISH.encode(["a"]), torch.tensor([0]), torch.tensor([0])) is None  # type: ignore
    assert allowed_by(Keywords(["dog"]), ENGLISH.encode(["a"]), torch.tensor([0]), torch.tensor([0])) is None
    toy = TableMaskedLM.random(letters("ab"), seed=0)
    assert allowed_by(Forbidden(["b"]), toy.vocabulary.encode(["a"]), torch.tensor([0]), torch.tensor([0])) is not None
