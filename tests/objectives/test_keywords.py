from __future__ import annotations

import builtins
import itertools
import math
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from objectives.keywords import Keywords, words
from objectives.length import LengthBetween
from samplers import MetropolisHastings
from samplers.proposals import BlockInfill, InsertDelete, Mixture, Replace, Swap
from textsearch import Progress, generate
from textsearch.batch import Batch
from textsearch.language import inflection
from textsearch.language.inflection import inflections
from textsearch.objective import Cost, FunctionObjective, Objective
from textsearch.testing import TableMaskedLM, check_objective, letters

from .laws import ENGLISH, TEXTS, PieceVocabulary, energies, energy_list

INF = math.inf
CHINESE = letters("今天气很好温，")


def held(keywords: Sequence[str], text: str, *, in_order: bool = False, inflections: bool = False) -> bool:
    """Whether a text meets the constraint, whatever the tokenizer."""
    objective = Keywords(keywords, in_order=in_order, inflections=inflections)
    batch = letters("".join(sorted(set(text)))).encode([text])
    return energy_list(objective, batch) == [0.0]


def substring(keywords: Sequence[str]) -> Objective:
    """The broken twin: a keyword inside a longer word counts."""
    return FunctionObjective(
        lambda texts: [0.0 if all(word in text.lower() for word in keywords) else INF for text in texts]
    )


class TestWords:
    @pytest.mark.parametrize(
        ("text", "split"),
        [
            ("The dog.", ["the", "dog", "."]),
            ("don't don\u2019t 'tis dogs'", ["don't", "don't", "'", "tis", "dogs", "'"]),
            ("well-known well\u2011known - hot-", ["well-known", "well-known", "-", "hot", "-"]),
            ("3.5 1,000 a.b 2nd 3, 4", ["3.5", "1,000", "a", ".", "b", "2nd", "3", ",", "4"]),
            ("今天天气，好", ["今", "天", "天", "气", "，", "好"]),
            ("iPhone手机X", ["iphone", "手", "机", "x"]),
            ("안녕 세계", ["안녕", "세계"]),
            ("Stra\u00dfe cafe\u0301 CAF\u00c9", ["strasse", "caf\u00e9", "caf\u00e9"]),
            ("ที่นี่", ["ที่", "นี่"]),
            (" \t\n", []),
        ],
    )
    def test_split(self, text: str, split: list[str]) -> None:
        assert words(text) == split

    def test_nothing_but_space_is_lost(self) -> None:
        text = "A «hot-dog», 3.5€ & 今天 — don't?! _x_"
        assert "".join(words(text)) == "".join(text.lower().split())


class TestPresence:
    @pytest.mark.parametrize(
        "objective",
        [
            Keywords(["dog"]),
            Keywords(["dog", "the", "the"]),
            Keywords(["hot dog", "the"], in_order=True),
            Keywords(["dog"], inflections=True),
            Keywords([["sat"], ["dog", "cat"], ["cat"], ["dog"], ["hot dogs"], ["don't"], ["cat"], ["dog", "bun"]]),
        ],
    )
    def test_rows_do_not_mix(self, objective: Keywords) -> None:
        check_objective(objective, ENGLISH.encode(TEXTS))

    def test_whole_words_only(self) -> None:
        wanted = [INF, 0, INF, INF, INF, INF, INF, INF]
        assert energies(Keywords(["cat"])) == wanted
        assert energies(substring(["cat"])) != wanted

    @pytest.mark.parametrize(
        ("keywords", "text", "answer"),
        [
            (["Dog"], "DOG!", True),
            (["dog"], "dogs", False),
            (["dog"], "dog's", False),
            (["dog's"], "the dog\u2019s tail", True),
            (["well-known"], "a Well-Known dog", True),
            (["known"], "a well-known dog", False),
            (["3"], "3.5 dogs", False),
            (["3"], "3, or 5", True),
            (["C++"], "in c++ now", True),
            (["C++"], "in c now", False),
            (["dog", "dog"], "a dog", False),
            (["dog", "Dog"], "a dog and a dog", True),
            (["hot dog"], "a hot  dog", True),
            (["hot dog"], "hot, dog", False),
            (["hot dog"], "dog hot", False),
            (["a b c d e f"], "a b c", False),
            (["hot dog", "dog"], "a hot dog", False),
            (["dog", "hot dog"], "a hot dog, dog", True),
            (["dog", "hot dog", "hot"], "hot hot dog dog", True),
            (["a b", "b a"], "a b a", False),
            (["a b", "b a"], "a b a b a", True),
            (["a b", "b c"], "b c a b c", True),
        ],
    )
    def test_cases(self, keywords: list[str], text: str, answer: bool) -> None:
        assert held(keywords, text) == answer

    @pytest.mark.parametrize(
        ("keywords", "text", "answer"),
        [
            (["the", "dog", "sat"], "the old dog sat", True),
            (["dog", "the"], "the dog", False),
            (["dog", "the"], "the dog, the cat", True),
            (["the", "the"], "the dog", False),
            (["hot dog", "dog"], "hot dog", False),
            (["hot dog", "dog"], "hot dog dog", True),
            (["dog", "hot dog"], "hot dog dog", False),
        ],
    )
    def test_order(self, keywords: list[str], text: str, answer: bool) -> None:
        assert held(keywords, text, in_order=True) == answer

    def test_order_is_stricter_than_presence(self) -> None:
        texts = ["".join(letters) for letters in itertools.product("ab ", repeat=5)]
        for keywords in (["a", "b"], ["a", "b", "a"], ["a b", "a"]):
            loose = Keywords(keywords).energy(letters("ab ").encode(texts))
            strict = Keywords(keywords, in_order=True).energy(letters("ab ").encode(texts))
            assert (strict >= loose).all()
            assert (strict > loose).any()

    @pytest.mark.parametrize("keywords", [["a", "a", "b"], ["a b", "a"], ["a b", "b a"], ["a a", "a a"], ["b", "a a"]])
    @pytest.mark.parametrize("in_order", [False, True])
    def test_against_all_assignments(self, keywords: list[str], in_order: bool) -> None:
        """The definition itself: some choice of places, one for each keyword, that share no word."""
        texts = [" ".join(text) for size in range(7) for text in itertools.product("ab", repeat=size)]
        found = Keywords(keywords, in_order=in_order).energy(letters("ab ").encode(texts)) == 0
        for text, answer in zip(texts, found.tolist(), strict=True):
            split = text.split()
            sizes = [len(keyword.split()) for keyword in keywords]
            places = [
                [i for i in range(len(split)) if split[i : i + size] == keyword.split()]
                for keyword, size in zip(keywords, sizes, strict=True)
            ]
            choices = [
                [set(range(i, i + size)) for i, size in zip(choice, sizes, strict=True)]
                for choice in itertools.product(*places)
                if not in_order or list(choice) == sorted(choice)
            ]
            assert answer == any(len(set().union(*spans)) == sum(sizes) for spans in choices), text

    def test_many_equal_keywords_take_no_exponential_time(self) -> None:
        assert not held(["a"] * 14 + ["b"], "b" + " a" * 13)
        assert held(["a"] * 14 + ["b"], "b" + " a" * 14)

    def test_chinese_is_found_as_a_run_of_characters(self) -> None:
        batch = CHINESE.encode(["今天天气很好", "今天气温", "天，气", "天很气"])
        assert Keywords(["天气"]).energy(batch).tolist() == [0, 0, INF, INF]
        assert Keywords(["天气", "气温"]).energy(batch).tolist() == [INF] * 4
        assert Keywords(["很好", "今天"]).energy(batch).tolist() == [0, INF, INF, INF]
        assert Keywords(["很好", "今天"], in_order=True).energy(batch).tolist() == [INF] * 4

    def test_each_input_has_its_own(self) -> None:
        batch = ENGLISH.encode(["the dog", "the cat"])
        objective = Keywords([["dog"], ["cat"]])
        assert objective.energy(batch).tolist() == [0, 0]
        assert objective.energy(batch.repeat(3)).tolist() == [0] * 6
        assert Keywords([["cat"], ["dog"]]).energy(batch).tolist() == [INF, INF]
        same_text = ENGLISH.encode(["the dog", "the dog"])
        assert objective.energy(same_text).tolist() == [0, INF]

    def test_one_keyword_each_is_not_one_list_for_all(self) -> None:
        batch = ENGLISH.encode(["the dog", "the cat"])
        assert Keywords(["dog", "cat"]).energy(batch).tolist() == [INF, INF]

    def test_value(self) -> None:
        objective = Keywords(["dog", "hot dog"])
        assert objective == Keywords(("dog", "hot dog"))
        assert objective != Keywords(["dog", "hot dog"], in_order=True)
        assert len({objective, Keywords(("dog", "hot dog"))}) == 1
        assert (objective.name, objective.cost) == ("keywords", Cost.HARD)
        assert "_templates" not in repr(objective)
        assert energies(pickle.loads(pickle.dumps(objective))) == energies(objective)


class TestInflections:
    @pytest.mark.parametrize(
        ("word", "some", "none"),
        [
            ("clap", ["clap", "claps", "clapping", "clapped"], ["clapper", "applaud"]),
            ("dog", ["dog", "dogs"], ["doggy"]),
            ("run", ["run", "runs", "ran", "running"], ["runner"]),
            ("Run", ["run", "ran"], ["Run"]),
            ("ran", ["run", "ran", "runs"], ["rans"]),
            ("child", ["children"], ["childish"]),
            ("good", ["better", "best"], ["well"]),
            ("be", ["is", "was", "were", "been", "being", "am", "are"], []),
            ("building", ["buildings"], ["built"]),
            ("selfie", ["selfies"], []),
            ("ice-cream", ["ice-creams"], ["ices-cream"]),
            ("天", ["天"], ["天s"]),
            ("2024", ["2024"], ["2024s"]),
        ],
    )
    def test_forms(self, word: str, some: list[str], none: list[str]) -> None:
        assert inflections(word) >= set(some)
        assert not inflections(word) & set(none)

    @pytest.mark.parametrize(
        ("keywords", "text", "answer"),
        [
            (["clap"], "They were clapping.", True),
            (["run"], "Ran!", True),
            (["dog"], "a doghouse", False),
            (["dog", "dogs"], "a dog", False),
            (["dog", "dogs"], "dogs chase dogs", True),
            (["hot dog"], "two hot dogs", True),
            (["take off"], "it took off", True),
            (["dog", "clap"], "claps at a dog", True),
        ],
    )
    def test_any_form_will_do(self, keywords: list[str], text: str, answer: bool) -> None:
        assert held(keywords, text, inflections=True) == answer
        assert not held(["clap"], "clapping")

    def test_equal_forms_are_matched_not_taken_greedily(self) -> None:
        # "saw" will do for both, "seen" for one alone: taking the first that fits would leave nothing for the other
        assert inflections("saw") & inflections("see")
        assert held(["see", "saw"], "saw seen", inflections=True)
        assert not held(["see", "saw"], "seen seen", inflections=True)

    def test_public_forms(self) -> None:
        objective = Keywords(["Hot dog"], inflections=True)
        hot, dog = objective.forms("Hot dog")
        assert {"hot", "hotter"} <= hot
        assert {"dog", "dogs"} <= dog
        assert Keywords(["Dog"]).forms("Dog") == (frozenset({"dog"}),)

    def test_missing_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        find = builtins.__import__

        def without(name: str, *rest: Any, **named: Any) -> Any:
            if name == "lemminflect":
                raise ImportError(name)
            return find(name, *rest, **named)

        monkeypatch.setattr(builtins, "__import__", without)
        inflection._lemminflect.cache_clear()
        with pytest.raises(ImportError, match=r"pip install 'textsearch-sampling\[tasks\]'"):
            Keywords(["unheardof"], inflections=True)
        assert Keywords(["unheardof"]).forms("unheardof")


class TestErrors:
    @pytest.mark.parametrize(
        ("keywords", "kind", "message"),
        [
            ("dog", TypeError, r"keywords='dog' is one string; pass a list of keywords, \['dog'\]"),
            ([], ValueError, "keywords is empty: pass one list of keywords for all inputs"),
            ([["dog"], []], ValueError, r"keywords\[1\] is empty: each input needs at least one"),
            (["dog", " "], ValueError, r"keywords\[1\]=' ' has no word in it: leave it out"),
            ([["dog"], ["cat", ""]], ValueError, r"keywords\[1\]\[1\]='' has no word in it"),
            (["dog", ["cat"]], TypeError, r"keywords=\['dog', \['cat'\]\] mixes keywords and lists of them"),
            ([["dog", 3]], TypeError, r"keywords\[0\]\[1\]=3 is a number, not a string"),
        ],
    )
    def test_at_construction(self, keywords: Any, kind: type[Exception], message: str) -> None:
        with pytest.raises(kind, match=message):
            Keywords(keywords)

    def test_freeze_with_inflections(self) -> None:
        with pytest.raises(ValueError, match=r"freeze_tokens=True .* inflections=True"):
            Keywords(["dog"], freeze_tokens=True, inflections=True)

    def test_a_list_for_each_input(self) -> None:
        batch = ENGLISH.encode(["the dog", "the cat", "a dog"])
        Keywords([["dog"]] * 3).check(batch)
        Keywords(["dog"]).check(batch)
        Keywords([["dog"]] * 2).check(batch.rows([1, 0, 0]))
        Keywords([["dog"]]).check(batch.rows(torch.arange(0)))
        with pytest.raises(ValueError, match="keywords has 2 values, but there are 3 inputs: pass one for each"):
            Keywords([["dog"]] * 2).check(batch)

    def test_unknown_to_the_tokenizer(self) -> None:
        batch = ENGLISH.encode(["the dog"])
        Keywords(["Dogs", "well-known", "hot dog", "don't", "dog, dog"]).check(batch)
        with pytest.raises(ValueError, match=r"'zebra' cannot be written .*it comes back as '\[UNK\]'; spell it"):
            Keywords(["dog", "zebra"]).check(batch)
        # only the lists of the inputs at hand count
        Keywords([["dog"], ["zebra"]]).check(batch)

    def test_a_tokenizer_that_raises(self) -> None:
        batch = letters("abc").encode(["abc"])
        Keywords(["CAB"]).check(batch)
        with pytest.raises(ValueError, match=r"keyword 'abd' cannot be written .*not among the letters 'abc'"):
            Keywords(["abd"]).check(batch)

    def test_one_writable_inflection_is_enough(self) -> None:
        batch = letters("ran").encode(["ran"])
        Keywords(["run"], inflections=True).check(batch)
        with pytest.raises(ValueError, match="keyword 'run' cannot be written"):
            Keywords(["run"]).check(batch)

    def test_generate_refuses_before_the_chain_starts(self) -> None:
        vocabulary = letters("ab ")
        sampler = MetropolisHastings(Replace(TableMaskedLM.random(vocabulary, seed=0)))
        with pytest.raises(ValueError, match="keyword 'c' cannot be written"):
            generate(Keywords(["c"]), sampler, ["a b"], steps=1, seed=0)
        with pytest.raises(ValueError, match="forbidden, the first by keywords: 'b b'"):
            generate(Keywords(["a"]), sampler, ["a b", "b b"], steps=1, seed=0)
        with pytest.raises(ValueError, match="forbidden, the first by length between"):
            generate(Keywords(["a", "b", "a"]) + LengthBetween(high=4), sampler, ["a b a"], steps=1, seed=0)


def frozen_pieces(objective: Keywords, batch: Batch) -> list[list[str]]:
    """The pieces that freezing takes away from the proposals."""
    after = objective.freeze(batch)
    assert torch.equal(after.tokens, batch.tokens)
    taken = (batch.editable & ~after.editable).tolist()
    return [
        [ENGLISH.pieces[token] for token, frozen in zip(row, flags, strict=True) if frozen]
        for row, flags in zip(batch.tokens.tolist(), taken, strict=True)
    ]


class TestFreeze:
    def test_nothing_by_default(self) -> None:
        batch = ENGLISH.encode(TEXTS)
        assert Keywords(["dog"]).freeze(batch) is batch

    @pytest.mark.parametrize(
        ("keywords", "text", "pieces"),
        [
            (["dog"], "the dog sat", ["dog"]),
            (["dog"], "the dog and the dog", ["dog"]),
            (["dog", "dog"], "the dog and the dog", ["dog", "dog"]),
            (["CATALOG"], "a catalog, a cat", ["cat", "##alog"]),
            (["cat"], "a catalog, a cat", ["cat"]),
            (["hot dogs", "hot"], "hot, hot dogs!", ["hot", "hot", "dog", "##s"]),
            (["well-known"], "a well-known cat", ["well", "-", "known"]),
            (["don't", "t"], "don't t", ["don", "'", "t", "t"]),
            (["cat"], "a dog", []),
            (["cat", "dog"], "a dog", []),
        ],
    )
    def test_the_tokens_of_the_keywords(self, keywords: list[str], text: str, pieces: list[str]) -> None:
        assert frozen_pieces(Keywords(keywords, freeze_tokens=True), ENGLISH.encode([text])) == [pieces]

    def test_the_first_occurrence_that_is_a_word_of_its_own(self) -> None:
        batch = ENGLISH.encode(["dog's dog - dog dog", "catalog cat cat"])
        after = Keywords([["dog"], ["cat"]], freeze_tokens=True).freeze(batch)
        assert (~after.editable & batch.present).nonzero().tolist() == [[0, 6], [1, 2]]

    def test_order_chooses_the_occurrence(self) -> None:
        batch = ENGLISH.encode(["dog cat dog"])
        loose = Keywords(["cat", "dog"], freeze_tokens=True).freeze(batch)
        ordered = Keywords(["cat", "dog"], in_order=True, freeze_tokens=True).freeze(batch)
        assert loose.editable.tolist() == [[False, False, True]]
        assert ordered.editable.tolist() == [[True, False, False]]

    def test_case_of_the_text_does_not_matter(self) -> None:
        batch = letters("aAbB ").encode(["b aB b", "b ab b"])
        after = Keywords(["Ab"], freeze_tokens=True).freeze(batch)
        assert after.editable.tolist() == [[True, True, False, False, True, True]] * 2

    def test_a_token_word_is_frozen_with_all_its_pieces(self) -> None:
        """Even where the surface word is shorter: a proposal would rewrite the rest, and the keyword with it."""
        vocabulary = PieceVocabulary(("[MASK]", "[UNK]", "dog", "##!", "a"))
        ends_early = Batch.of([[4, 2, 3, 4]], vocabulary)
        assert ends_early.texts() == ["a dog! a"]
        assert Keywords(["dog"], freeze_tokens=True).freeze(ends_early).editable.tolist() == [
            [True, False, False, True]
        ]
        begins_late = letters("aB ").encode(["a B"])
        assert begins_late.word_starts.tolist() == [[True, True, False]]
        assert Keywords(["b"], freeze_tokens=True).freeze(begins_late).editable.tolist() == [[True, False, False]]

    def test_rows_do_not_mix(self) -> None:
        batch = ENGLISH.encode([*TEXTS, "dog dog"])
        objective = Keywords(["dog", "the"], freeze_tokens=True)
        whole = objective.freeze(batch).editable
        alone = [objective.freeze(batch.rows([row])).editable[0] for row in range(len(batch))]
        assert torch.equal(torch.stack(alone), whole)
        assert torch.equal(objective.freeze(batch.rows([3, 1, 1])).editable, whole[[3, 1, 1]])
        wide = objective.freeze(batch.widen(batch.width + 2)).editable
        assert torch.equal(wide[:, :-2], whole)
        assert not wide[:, -2:].any()
        assert len(objective.freeze(batch.rows(torch.arange(0)))) == 0

    def test_what_was_frozen_stays_frozen(self) -> None:
        batch = ENGLISH.encode(["the dog"])
        batch = batch.frozen(torch.tensor([[True, False]]))
        assert not Keywords(["dog"], freeze_tokens=True).freeze(batch).editable.any()

    def test_chinese(self) -> None:
        batch = CHINESE.encode(["今天天气很好"])
        assert Keywords(["天气"], freeze_tokens=True).freeze(batch).editable.tolist() == [
            [True, True, False, False, True, True]
        ]


class TestChains:
    """Upper-case letters go on the word before them, and a space is a token: "bAB a" is a word of three pieces."""

    vocabulary = letters("abAB ")

    def sampler(self) -> MetropolisHastings:
        model = TableMaskedLM.random(self.vocabulary, seed=3)
        pieces = (0.6, 0.3, 0.1)
        return MetropolisHastings(
            Mixture(
                {
                    Replace(model, pieces=pieces, max_length=9): 1.0,
                    InsertDelete(model, pieces=pieces, max_length=9): 1.0,
                    BlockInfill(model, pieces=pieces, max_length=9): 1.0,
                    Swap(self.vocabulary): 1.0,
                }
            )
        )

    def test_frozen_keyword_is_never_lost_nor_broken(self) -> None:
        objective = Keywords(["bA"], freeze_tokens=True)
        seen: list[Batch] = []

        def watch(progress: Progress) -> None:
            seen.append(progress.batch)

        result = generate(
            objective,
            self.sampler(),
            ["a bA b", "bA bA"],
            steps=80,
            seed=5,
            chains=4,
            callbacks=[watch],
        )
        kept = self.vocabulary.encode(["bA"]).tokens[0].tolist()
        for batch in seen:
            frozen = ~batch.editable & batch.present
            assert not objective.energy(batch).any()
            starts = batch.word_starts
            for row in range(len(batch)):
                columns = frozen[row].nonzero()[:, 0].tolist()
                assert len(columns) == 2
                assert columns[1] == columns[0] + 1
                assert batch.tokens[row, columns].tolist() == kept
                assert starts[row, columns[0]]
                after = columns[1] + 1
                assert after == int(batch.lengths[row]) or bool(starts[row, after])
        assert len(set(result.texts)) > 4

    def test_unfrozen_keyword_is_never_lost(self) -> None:
        result = generate(Keywords(["bA"]), self.sampler(), ["a bA b"], steps=80, seed=6, chains=6, thin=1)
        assert all("ba" in words(text) for texts in result.samples for text in texts)
        # the constraint holds the word, not its place
        assert len({words(text).index("ba") for texts in result.samples for text in texts}) > 1

    def test_without_the_constraint_it_is_lost(self) -> None:
        free = FunctionObjective(lambda texts: [0.0 for _ in texts], name="free")
        result = generate(free, self.sampler(), ["a bA b"], steps=80, seed=6, chains=6, thin=1)
        assert any("ba" not in words(text) for texts in result.samples for text in texts)
