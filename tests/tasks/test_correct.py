"""Corrections, on tiny random models: what is changed, what is kept, and what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from objectives import Closeness, Conditional, Fluency
from objectives.preserve import facts
from samplers.proposals import Clusters
from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch import FunctionObjective, Generations, generate
from textsearch.cli import app
from textsearch.language.confusions import EnglishConfusions, ListedConfusions
from textsearch.language.words import TIGHT, WordVocabulary, bare, split
from textsearch.models import causal_lm
from textsearch.tasks import correct, stream
from textsearch.tasks.channel import COSTS, ChangedSentences, Channel, NonWords, StrayCapitals, sentences
from textsearch.tasks.correction import EvenlySpaced, names, sealed, spared
from textsearch.tasks.judging import Corrector, judging, request
from textsearch.tasks.restoring import restored
from textsearch.tasks.unexplained import Unexplained

LISTED = ListedConfusions(
    {"dog": {"dogs": "inflection", "cat": "look-alike"}, "then": {"than": "confusion"}, "a": {"the": "small word"}},
    inserted=("the", ","),
)
TEXTS = ["The dog sat  on a mat, (then).", "“A dog” isn't\nodd!"]


def write(tiny: Tiny, texts: list[str] = TEXTS, **settings: Any) -> Generations:
    given = {"chains": 2, "steps": 12, "seed": 1, "confusions": LISTED, "causal": tiny.causal_path}
    return correct(texts, **{"masked": tiny.masked_path, **given, **settings})


@pytest.mark.parametrize("tokenised", [False, True])
def test_where_no_edit_is_worth_its_cost_a_text_comes_back_letter_by_letter(tiny: Tiny, tokenised: bool) -> None:
    texts = ["He sat , `` so to say , '' on them. ( the 3 dogs )", "It is n't odd ."] if tokenised else TEXTS
    result = write(tiny, texts, strictness=100.0, tokenised=tokenised)
    assert result.best_texts == [text for text in texts for _ in range(2)]
    assert result.sources == texts
    assert result.best_terms["closeness"].tolist() == [0.0] * 4
    # the control: where edits cost nothing to speak of, texts change
    assert set(write(tiny, texts, strictness=1e-3, tokenised=tokenised).best_texts) != set(texts)


def test_the_energy_is_the_one_that_is_named(tiny: Tiny) -> None:
    result = write(tiny, strictness=0.1)
    words = WordVocabulary.of(token for text in [*TEXTS, *result.best_texts] for token in split(text))
    batch = words.encode(result.best_texts)
    lm = causal_lm(tiny.causal_path, device="cpu")
    channel, sources = Channel(LISTED, strictness=0.1), [text for text in TEXTS for _ in range(2)]
    own = Closeness(sources, channel) + Closeness(sources, Unexplained(LISTED, 0.1), label="unexplained")
    own += ChangedSentences(words.encode(sources), channel)
    energies = (EvenlySpaced(Fluency(lm)) + own).energy(batch).numpy()
    assert energies == pytest.approx(result.best_energies, abs=1e-4)
    assert (
        result.best_energies <= EvenlySpaced(Fluency(lm)).energy(words.encode(TEXTS).repeat(2)).numpy() + 1e-4
    ).all()


def test_a_model_that_takes_requests_is_asked_to_correct(tiny: Tiny, tmp_path: Path) -> None:
    """A quarter of the judgement is its answer, and edits cost half; a model without room for the request is not."""
    lm = causal_lm(roomy_causal(tmp_path), device="cpu")
    texts = ["the dgo sat. He run to  London", "a cat"]
    given: dict[str, Any] = {"confusions": EnglishConfusions(inserted=("the",)), "chains": 1, "meaning": False}
    result = write(tiny, texts, causal=lm, strictness=0.01, steps=3, **given)
    own_terms = {"closeness", "unexplained", "non-words", "stray capitals", "changed sentences"}
    assert set(result.best_terms) == {"fluency", "conditional", *own_terms}
    words = WordVocabulary.of(token for text in [*texts, *result.best_texts] for token in split(text))
    batch, sources = words.encode(result.best_texts), words.encode(texts)
    even = replace(sources, vocabulary=words.evenly_spaced).texts()
    assert even[0] == "the dgo sat. He run to London"
    prompts = [request(lm, text) for text in even]
    assert all(text in prompt and "becouse" in prompt for text, prompt in zip(even, prompts, strict=True))
    channel = Channel(given["confusions"], strictness=0.01)
    own = Closeness(sources, channel, 0.5) + ChangedSentences(sources, channel)
    own += Closeness(sources, Unexplained(given["confusions"], 0.01), label="unexplained")
    own = own + NonWords(given["confusions"]) + StrayCapitals(sources, given["confusions"])
    judged = 0.75 * EvenlySpaced(Fluency(lm)) + 0.25 * EvenlySpaced(Conditional(lm, prompts))
    assert (judged + own).energy(batch).numpy() == pytest.approx(result.best_energies, abs=1e-4)
    # the control: what was not asked
    assert (EvenlySpaced(Fluency(lm)) + own).energy(batch).numpy() != pytest.approx(result.best_energies, abs=0.1)
    assert request(tiny.causal(), "a cat") == ""
    assert "conditional" not in write(tiny, texts, steps=0, **given).best_terms


def test_a_text_that_is_too_long_to_be_asked_about_is_judged_as_by_a_model_that_takes_no_requests(
    tmp_path: Path,
) -> None:
    lm = causal_lm(roomy_causal(tmp_path), device="cpu")
    texts = ["a cat sat", "a dog sat " * 400 + "."]
    assert request(lm, texts[0]) and not request(lm, texts[1])
    terms, scales = judging(lm, texts, Corrector.of(lm, texts))
    assert scales == [0.5, 1.0]
    batch = lm.vocabulary.encode(texts)
    energies = sum(weight * term.energy(batch) for weight, term in terms)
    assert isinstance(energies, torch.Tensor)
    plain = Fluency(lm).energy(batch)
    assert energies[1].item() == pytest.approx(plain[1].item(), abs=1e-6) and abs(energies[0] - plain[0]) > 0.01


def test_only_what_is_listed_changes(tiny: Tiny) -> None:
    result = write(tiny, ["mat dog so"], strictness=1e-3, steps=30, chains=3)
    allowed = {"mat", "Mat", "dog", "dogs", "cat", "Dogs", "Cat", "so", "the", ",", "The", "a", "A"}
    for text in [*result.texts, *result.best_texts]:
        assert {token.strip(TIGHT) for token in split(text)} <= allowed, text


def test_an_input_does_not_depend_on_those_behind_it(tiny: Tiny) -> None:
    alone, both = write(tiny, TEXTS[:1], strictness=0.1), write(tiny, strictness=0.1)
    assert alone.best_texts == both.best_texts[:2]
    assert alone.best_energies == pytest.approx(both.best_energies[:2], abs=1e-4)


def test_many_inputs_are_streamed(tiny: Tiny) -> None:
    models = {"causal": tiny.causal_path, "masked": tiny.masked_path}
    given: dict[str, Any] = {"chains": 1, "steps": 1, "confusions": LISTED, **models}
    records = list(stream(correct, ["a dog", " ", "then"], batch_inputs=2, **given))
    assert [record["input"] for record in records] == ["a dog", " ", "then"]
    assert "empty" in str(records[1]["error"])


def test_requests_that_cannot_be_met_run_no_model() -> None:
    with pytest.raises(ValueError, match="'  ' is an empty text"):
        correct(["fine", "  "], causal="nowhere", masked="nowhere")
    with pytest.raises(ValueError, match=r"'a\\ufdd0b' holds U\+FDD0, which is no character"):
        correct(["a\ufdd0b"], causal="nowhere", masked="nowhere")
    with pytest.raises(ValueError, match="strictness=0 must be a positive number"):
        correct(["fine"], strictness=0, causal="nowhere", masked="nowhere")


def test_what_edits_cost() -> None:
    channel = Channel(LISTED, strictness=2.0)
    assert channel("then", "than") == 2 * COSTS["confusion"]
    assert channel("then", "Than") == 2 * (COSTS["confusion"] + COSTS["capital"])
    assert channel("than", "then") == channel("dog", "moon") == 2 * COSTS["other"]
    assert channel("dog", "Dog") == 2 * COSTS["capital"]
    assert channel("Dog", "dog") == 2 * COSTS["small letter"]
    assert channel(None, "The") == 2 * COSTS["insert an article"]
    assert channel(None, ",") == 2 * COSTS["insert a comma"]
    assert channel(",", None) == 2 * COSTS["delete a comma"]
    assert channel("dog", None) == 2 * COSTS["delete"]


def test_a_model_cannot_buy_what_no_mistake_explains() -> None:
    """However a model is liked, letters say what a misspelling may mean, and only small words come and go."""
    english, listed = Unexplained(EnglishConfusions()), Unexplained(LISTED, strictness=2.0)
    mistakes = [("thay", "They"), ("coluld", "could"), ("siences", "science"), ("makes", "made"), ("  then", "  than")]
    small = [(None, "the"), (TIGHT + ",", None), ("on", "in"), ("alot", "a lot"), ("dont", f"do{TIGHT}n't"), ("i", "I")]
    assert [english(old, new) for old, new in [*mistakes, *small]] == [0.0] * 11
    # irregular verbs made regular, apostrophes left out, and sounds
    regular = [
        ("keeped", "kept"),
        ("bringed", "brought"),
        ("thinked", "thought"),
        ("sended", "sent"),
        ("drawed", "drew"),
    ]
    marks = [("dosent", f"does{TIGHT}n't"), ("havnt", f"have{TIGHT}n't"), ("wasent", f"was{TIGHT}n't")]
    sounds = [("carree", "career"), ("proffeser", "professor"), ("allso", "also")]
    assert {(pair, english(*pair)) for pair in [*regular, *marks, *sounds] if english(*pair)} == set()
    assert (
        english("someone", "anyone") == english("or", "of") == english("lest", "least") == english("less", "fewer") == 0
    )
    assert english("someone", "something") == 4.0 and english("import", "export") == english("happy", "unhappy") == 12.0
    assert english("?", ".") == english(TIGHT + ".", TIGHT + "?") == 4.0 and english(",", ".") == 0.0
    assert english("coluld", "would") == 4.0 and english("gante", "give") == 12.0 and english("shud", "should") == 4.0
    assert english("equalifications", "equalizations") == 12.0 and english("equalifications", "qualifications") == 0.0
    assert english(None, "everything") == english("dog", None) == english("dog", "moon") == 12.0
    assert (
        english("therefore", "and") == english("all", "some") == english("also", None) == english("may", "there") == 4.0
    )
    assert english("beacuse", "because") == english("an", "and") == english("to", "too") == english("so", "thus") == 0.0
    assert listed("dog", "moon") == 24.0 and listed("then", "than") == 0.0
    # whatever stands for a word
    odd = ["'", "’", "-", "''", "``", "x", "é", "12", "...", "'s", "a-", "dog's", "日本", "\u200b", TIGHT + "'", "q'"]
    assert all(english(old, new) >= 0 for old in [*odd, None] for new in [*odd, "dog", None] if old or new)
    with pytest.raises(ValueError, match="letter=-1"):
        Unexplained(LISTED, letter=-1)
    # the channel by itself, which counts little beside a model that is taught, takes the farther word for a slip
    channel = Channel(EnglishConfusions())
    assert 0.2 * (channel("coluld", "would") - channel("coluld", "could")) < 1.5


def test_the_gap_before_a_word_costs_nothing() -> None:
    """Doubled spaces made every edit one of a word that nothing relates to the old one."""
    channel = Channel(LISTED)
    assert channel("  then", "  than") == channel("\nthen", "\nthan") == COSTS["confusion"]
    words = WordVocabulary.of(["then", "  then", "  than", "than"])
    batch = words.batch([["then", "  than"], ["then", "than"]])
    lengths = FunctionObjective(lambda texts: [float(len(text)) for text in texts], name="letters")
    assert EvenlySpaced(lengths).energy(batch).tolist() == [9.0, 9.0]
    assert lengths.energy(batch).tolist() == [10.0, 9.0]


@pytest.mark.parametrize("around", ["  {} ", "\n{}\n\n", "\t{}", "{}\u00a0"])
def test_what_a_text_begins_and_ends_with_stays(tiny: Tiny, around: str) -> None:
    (text,) = write(tiny, [around.format("the dog ran")], strictness=1e-3, chains=1).best_texts
    before, after = around.split("{}")
    inner = text[len(before) : len(text) - len(after)]
    assert text == before + inner + after
    assert inner == inner.strip() != "the dog ran"


def test_names_stay() -> None:
    assert not EnglishConfusions.name("Inorder", begins=True) and EnglishConfusions().of("Inorder") == {
        "In order": "splitting"
    }
    text = "Kowalczyk met Siobhan. Yesterday we saw Mr. Pevear in Lodz, the Goverment said."
    found = names(split(text), EnglishConfusions())
    kept = {bare(token) for token, name in zip(split(text), found, strict=True) if name}
    assert kept == {"Kowalczyk", "Siobhan", "Pevear", "Lodz"}


def test_what_cannot_be_a_word() -> None:
    rows = [split(text) for text in ("dont", "don't", "its", "ca'nt and theyre", "Inorder cannot Okonkwo's")]
    batch = WordVocabulary.of(token for row in rows for token in row).batch(rows)
    assert NonWords(EnglishConfusions(), 2.0).energy(batch).tolist() == [2.0, 0.0, 0.0, 4.0, 2.0]


KEPT = [
    "Write a to jon.smtih@exmaple.com then, a dog.",
    "@mikky then said: a `then dog` is a dog() #dog",
    "# a dog\n\n- then a dog\n1. (https://x.org/then) a dog's",
    'a 5 kg dog, a then dog "x = dog" dog.txt Kowalczyk\'s dog',
]
LITERALS = [
    ["jon.smtih@exmaple.com"],
    ["@mikky", "`then dog`", "dog()", "#dog"],
    ["# ", "\n\n- ", "\n1. ", "(https://x.org/then)"],
    ["5 kg", "then dog", '"x = dog"', "dog.txt", "Kowalczyk's"],
]


@pytest.mark.parametrize("tokenised", [False, True])
def test_what_is_kept_stays_letter_by_letter(tiny: Tiny, tokenised: bool) -> None:
    texts = [" ".join(text.split()) for text in KEPT] if tokenised else KEPT
    given: dict[str, Any] = {"strictness": 1e-3, "temperature": 200.0, "steps": 50, "tokenised": tokenised}
    result = write(tiny, texts, keep=["Kowalczyk", "then dog"], **given)
    found = zip([*result.texts, *result.best_texts], [*result.inputs.tolist()] * 2, strict=True)
    for text, number in found:
        for literal in LITERALS[number]:
            literal = literal.replace("\n", " ").strip() if tokenised else literal
            assert literal in text, (literal, text)
            # nothing is glued to it
            before, after = text.split(literal, 1)
            assert before[-1:] != "," and after[:1] != ","
        if number == 2:
            assert text.startswith("# ")
    assert set(result.best_texts) != set(texts)
    # the control: where nothing is kept, the same moves change it
    loose = write(tiny, texts, keep=False, **given)
    assert tokenised or any(
        literal not in text
        for text, number in zip([*loose.texts, *loose.best_texts], [*loose.inputs.tolist()] * 2, strict=True)
        for literal in LITERALS[number]
    )


def test_bad_values_of_keep_load_no_model() -> None:
    with pytest.raises(ValueError, match="keep='x' is no file that can be read: pass True"):
        correct(["fine"], keep="x", causal="nowhere", masked="nowhere")
    with pytest.raises(TypeError, match="keep=3 is a number"):
        correct(["fine"], keep=3, causal="nowhere", masked="nowhere")  # type: ignore[arg-type]


def test_each_changed_sentence_costs_once() -> None:
    rows = [
        "A dog. A cat!\n- so",
        "The dog sat. A cat!\n- so",
        "A dog. The cat!\n- and",
        "A dog. A cat! It.\n- so",
        "A dog.",
    ]
    words = WordVocabulary.of(token for text in rows for token in split(text))
    batch = replace(words.encode(rows), inputs=torch.zeros(len(rows), dtype=torch.int64))
    changed = ChangedSentences(
        words.encode(rows[:1]), Channel(LISTED, costs={**COSTS, "sentence": 2.0}, strictness=1.5)
    )
    assert changed.energy(batch).tolist() == [0.0, 3.0, 6.0, 3.0, 6.0]
    assert changed.energy(words.encode(rows)).equal(changed.energy(batch))  # one source serves all inputs
    assert [len(sentences(split(text))) for text in rows] == [3, 3, 3, 4, 1]


def test_sentences_that_do_not_pay_are_put_back() -> None:
    """Of "A dog. A cat." both were changed; one edit is worth the price of a sentence, the other is not."""
    rows = ["A dog. A cat.", "The dog. The cat.", "A dog. A cat. So.", "The dog. It. A cat."]
    words = WordVocabulary.of(token for text in rows for token in split(text))
    sources = words.encode(rows[:1]).frozen(torch.tensor([[False, True, False, False, True, False]]))
    batch = replace(words.encode(rows), inputs=torch.zeros(len(rows), dtype=torch.int64))
    price = ChangedSentences(sources, Channel(LISTED, costs={**COSTS, "sentence": 2.0}))
    worth = FunctionObjective(lambda texts: [-3.0 * ("The dog" in text) - ("The cat" in text) for text in texts])
    found = restored(worth + price, sources, batch)
    # where sentences came or went, the text stays or goes as a whole
    assert found.texts() == ["A dog. A cat.", "The dog. A cat.", "A dog. A cat.", "A dog. A cat."]
    assert found.inputs.tolist() == [0] * 4
    # what was put back is frozen where its source is
    assert found.editable[1].tolist() == [True, True, True, True, False, True]
    energies = (worth + price).energy
    assert (energies(found) <= energies(batch)).all()


def test_what_words_mean_stays(tiny: Tiny) -> None:
    """Persons, denials and numbers, though the confusions offer others and the edits cost nothing to speak of."""
    texts = ["we do not like two dog"]
    given: dict[str, Any] = {"confusions": EnglishConfusions(inserted=("not", "you")), "strictness": 1e-3, "steps": 40}
    for meaning in (True, False):
        result = write(tiny, texts, meaning=meaning, **given)
        kept = [facts(text) == facts(texts[0]) for text in result.best_texts]
        assert all(kept) if meaning else not all(kept)
        assert ("preserve" in result.best_terms) == meaning


def test_capitals_throughout_tell_no_names_and_stay() -> None:
    english = EnglishConfusions()
    for text, kept in (("WE SAW YESTERDY IN LODZ", set()), ("We saw LODZ", {"LODZ"})):
        found = names(split(text), english)
        assert {token for token, name in zip(split(text), found, strict=True) if name} == kept
    row = [(token, False) for token in split("WE SAW YESTERDY.")]
    assert [inside for _, inside in spared(row, english)] == [True, True, False, True]
    assert sealed(row) == split("WE SAW YESTERDY.")
    assert spared([("We", False)], english) == [("We", False)] and sealed([("We", False), ("5", True)]) == []
    clusters = Clusters.of([split("WE SAW YESTERDAY")], english)
    written = {bare(token) for token in clusters.vocabulary.tokens if bare(token).lower() == "yesterday"}
    assert written == {"YESTERDAY"}


def test_the_command(tiny: Tiny, tmp_path: Path) -> None:
    models = ["--causal", str(tiny.causal_path), "--masked", str(tiny.masked_path)]
    given = ["correct", "The dog sat.", "--steps", "1", "--strictness", "50", "--json", "--quiet", *models]
    answer = CliRunner().invoke(app, given)
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)[0]["text"] == "The dog sat."
    for keep, message in (("x", "'x' is no file: write yes, no"), (str(tmp_path), "is no file: write yes, no")):
        refused = CliRunner().invoke(app, [*given, "--keep", keep])
        assert refused.exit_code == 2
        assert message in " ".join(refused.output.split())
    names = tmp_path / "names.txt"
    names.write_text("Kowalczyk\n", encoding="utf-8")
    for keep in ("no", "Kowalczyk,", str(names)):
        assert CliRunner().invoke(app, [*given, "--keep", keep, "--no-meaning"]).exit_code == 0
    refused = CliRunner().invoke(app, ["correct", "--steps", "1"])
    assert refused.exit_code == 2
    assert "name a text" in refused.output


def test_a_search_that_was_interrupted_is_told_as_such(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []

    def interrupted(*given: Any, **settings: Any) -> Generations:
        result = generate(*given, **settings)
        runs.append((settings["steps"], settings["seed"]))
        return replace(result, interrupted=len(runs) == 1)

    monkeypatch.setattr("textsearch.tasks.problem.generate", interrupted)
    settings: dict[str, Any] = {"causal": tiny.causal(), "masked": tiny.masked(), "steps": 10, "seed": 3}
    assert correct(["the dgo sat"], **settings).interrupted
    assert [steps for steps, _ in runs] == [8, 0] and runs[0][1] == 3
    assert not correct(["the dgo sat"], **settings).interrupted
    # the second part of a search draws numbers of its own
    assert [steps for steps, _ in runs[2:]] == [8, 2] and runs[2][1] == 3 != runs[3][1]


def test_a_common_word_gets_no_capital_within_a_sentence() -> None:
    """Wanted: 0 for capitals of the source, of names, of I, and where a sentence or a line begins."""
    told = [
        ("most people doens't know", "most people Doesn't know", 1),
        ("most people doens't know", "most people doesn't know", 0),
        ("thereby augumenting my Views", "Thereby Augmenting My Views", 2),
        ("we went in may to london", "We went in May to London", 0),
        ("so i went. he stayed", "So I went. He stayed, and I'd Go", 1),
        ("no?\nthen go", "No?\nThen go", 0),
        ('he said "go" and', 'He said "Go" and', 0),
        ("NASA AND US", "NASA AND WE", 0),
    ]
    rows = [split(text) for text, *_ in told], [split(text) for _, text, _ in told]
    words = WordVocabulary.of(token for part in rows for row in part for token in row)
    sources, batch = (words.batch(part) for part in rows)
    found = StrayCapitals(sources, EnglishConfusions(), 1.0).energy(batch)
    assert found.tolist() == [count for *_, count in told]
    # the control: of a source that had them all, none is stray
    assert not StrayCapitals(batch, EnglishConfusions()).energy(batch).any()
