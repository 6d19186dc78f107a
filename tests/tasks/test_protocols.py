"""Tasks run on anything that has the protocols' methods, and say which method is missing before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import pytest
import torch
from torch import Tensor

from tests.models.tiny import Tiny, roomy_causal
from tests.models.tiny import tiny as tiny
from textsearch import Generations
from textsearch.batch import Batch, Vocabulary
from textsearch.language.confusions import ListedConfusions
from textsearch.models import GuidedMaskedLM, causal_lm
from textsearch.models.causal import TransformersCausalLM
from textsearch.models.protocols import Scores, next_token_log_probs
from textsearch.rng import Rng
from textsearch.tasks import ask, correct, infill, keywords, paraphrase, write
from textsearch.tasks.resolve import PURPOSES


class PlainVocabulary:
    """The six things that a vocabulary has, and nothing else: no tokenizer, no spellings, no gaps."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Vocabulary) -> None:
        self._inner = inner

    @property
    def size(self) -> int:
        return self._inner.size

    @property
    def mask_id(self) -> int:
        return self._inner.mask_id

    @property
    def allowed(self) -> Tensor:
        return self._inner.allowed

    @property
    def continues(self) -> Tensor:
        return self._inner.continues

    def encode(self, texts: Sequence[str]) -> Batch:
        return replace(self._inner.encode(texts), vocabulary=self)

    def decode(self, batch: Batch) -> list[str]:
        return self._inner.decode(replace(batch, vocabulary=self._inner))


class PlainMaskedLM:
    """A vocabulary and `log_probs`."""

    __slots__ = ("_inner", "vocabulary")

    def __init__(self, inner: Any) -> None:
        self._inner, self.vocabulary = inner, PlainVocabulary(inner.vocabulary)

    def log_probs(self, batch: Batch, rows: Tensor, positions: Tensor) -> Tensor:
        found: Tensor = self._inner.log_probs(replace(batch, vocabulary=self._inner.vocabulary), rows, positions)
        return found


class PlainCausalLM:
    """What the tasks use of a causal model between them, and nothing else."""

    __slots__ = ("_inner", "vocabulary")

    def __init__(self, inner: TransformersCausalLM) -> None:
        self._inner, self.vocabulary = inner, PlainVocabulary(inner.vocabulary)

    def _own(self, batch: Batch) -> Batch:
        own = getattr(self, "vocabulary", None)
        return replace(batch, vocabulary=self._inner.vocabulary) if batch.vocabulary is own else batch

    def score(self, batch: Batch, prompt: str | Sequence[str] = "", least: Tensor | None = None) -> Scores:
        return self._inner.score(self._own(batch), prompt, least)

    def next_log_probs(self, texts: Sequence[str], prompt: str | Sequence[str] = "") -> Tensor:
        return self._inner.next_log_probs(texts, prompt)

    def continuations(self, prompt: str | Sequence[str], rng: Rng, **settings: Any) -> list[str]:
        return self._inner.continuations(prompt, rng, **settings)

    def draw_suffixes(self, batch: Batch, cuts: Tensor, rng: Rng, **settings: Any) -> tuple[Batch, Tensor, Tensor]:
        drawn, log_prob, ended = self._inner.draw_suffixes(self._own(batch), cuts, rng, **settings)
        return replace(drawn, vocabulary=self.vocabulary), log_prob, ended

    def suffix_log_probs(self, batch: Batch, cuts: Tensor, **settings: Any) -> Tensor:
        return self._inner.suffix_log_probs(self._own(batch), cuts, **settings)

    def ask(self, request: str, examples: Sequence[tuple[str, str]] = ()) -> str:
        return self._inner.ask(request, examples)


class PlainEncoder:
    """Vectors by the letters of a text."""

    __slots__ = ()

    def encode(self, texts: Sequence[str]) -> Tensor:
        counts = torch.tensor([[1.0 + text.lower().count(letter) for letter in "aeiourst"] for text in texts])
        return torch.nn.functional.normalize(counts.reshape(len(texts), 8), dim=1)


@final
@dataclass(frozen=True)
class Models:
    """A causal model with room for a request, and a masked one."""

    causal: TransformersCausalLM
    masked: Any


@pytest.fixture(scope="module")
def models(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Models:
    path: Path = roomy_causal(tmp_path_factory.mktemp("roomy"))
    return Models(causal_lm(path, device="cpu"), tiny.masked())


LISTED = ListedConfusions({"dog": {"cat": "look-alike"}, "a": {"the": "small word"}}, inserted=("the",))

TASKS: dict[str, Callable[..., Generations]] = {
    "ask": lambda masked, **given: ask([{"passage": "the dog sat on a mat.", "answer": "a mat"}], drafts=4, **given),
    "keywords": lambda **given: keywords([["dog", "mat"], ["cat"]], drafts=4, **given),
    "write": lambda **given: write([{"prefix": "The dog"}, {"acrostic": "tdr"}], **given),
    "write on a topic": lambda encoder=None, **given: write(
        [{"prefix": "The dog", "topic": "cats"}], encoder=PlainEncoder() if encoder is None else encoder, **given
    ),
    "infill": lambda **given: infill(["the [MASK] ran.", "a [MASK] [MASK]"], **given),
    "correct": lambda **given: correct(["the dog sat on a mat."], confusions=LISTED, **given),
    "paraphrase": lambda encoder=None, **given: paraphrase(
        ["the dog sat on a mat."], pool=4, encoder=PlainEncoder() if encoder is None else encoder, **given
    ),
}
USED = {
    "ask": {"vocabulary", "continuations", "draw_suffixes", "suffix_log_probs"},
    "keywords": {"vocabulary", "next_log_probs", "draw_suffixes", "ask"},
    "write": {"vocabulary", "next_log_probs", "continuations"},
    "infill": {"vocabulary", "next_log_probs"},
    "correct": set(),
    "paraphrase": {"vocabulary", "continuations"},
}
"""What each task uses of a causal model besides `score`."""


def run(task: str, **given: Any) -> Generations:
    return TASKS[task](chains=2, steps=3, seed=1, **given)


@pytest.mark.parametrize("task", TASKS)
def test_anything_with_the_methods_will_do(task: str, models: Models) -> None:
    """The same model as an adapter and as plain methods: the same texts, but for what renders words as they stood."""
    plain = run(task, causal=PlainCausalLM(models.causal), masked=PlainMaskedLM(models.masked))
    assert all(plain.best_texts)
    ours = run(task, causal=models.causal.forgetful(), masked=models.masked)
    if task in {"keywords", "write", "correct"}:
        assert plain.best_texts == ours.best_texts
        assert plain.best_energies.tolist() == pytest.approx(ours.best_energies.tolist(), abs=1e-3)


def without(name: str) -> type[Any]:
    """A causal model that lacks one of its methods."""
    parts = {key: value for key, value in vars(PlainCausalLM).items() if key not in {name, "__slots__", "_inner"}}
    slots = ("_inner",) if name == "vocabulary" else ("_inner", "vocabulary")
    parts.pop("vocabulary", None)

    def set_up(self: Any, inner: TransformersCausalLM) -> None:
        self._inner = inner
        if name != "vocabulary":
            self.vocabulary = PlainVocabulary(inner.vocabulary)

    return type("Lacking", (), {**parts, "__slots__": slots, "__init__": set_up})


@pytest.mark.parametrize("task", USED)
@pytest.mark.parametrize("name", [name for name in PURPOSES if name != "score"])
def test_a_missing_method_is_named_before_anything_runs(task: str, name: str, models: Models) -> None:
    """And where a task does without the method, so does the model."""
    lacking = without(name)(models.causal.forgetful())
    if name not in USED[task]:
        assert all(run(task, causal=lacking, masked=PlainMaskedLM(models.masked)).best_texts)
        return
    rows = models.masked.usage.rows
    with pytest.raises(TypeError, match=f"causal=.*Lacking.* has no {name}, which the task uses {PURPOSES[name]}: add"):
        run(task, causal=lacking, masked=PlainMaskedLM(models.masked))
    assert models.masked.usage.rows == rows
    assert lacking._inner.usage.rows == 0


def test_what_is_no_model_at_all_is_told_by_its_kind(models: Models) -> None:
    with pytest.raises(TypeError, match="not a causal language model: it has no score"):
        run("correct", causal=without("score")(models.causal), masked=models.masked)
    with pytest.raises(TypeError, match="not a masked language model"):
        run("correct", causal=models.causal, masked=PlainEncoder())
    with pytest.raises(TypeError, match="not a causal language model"):
        GuidedMaskedLM(models.masked, PlainEncoder())  # type: ignore[arg-type]


def test_the_next_token_after_every_beginning_is_the_same_from_one_pass_and_from_many(models: Models) -> None:
    lm = models.causal
    batch = lm.vocabulary.encode(["The dog ran", "", "A cat"])
    tokens = [[5, 9, 11], [7], []]
    prompts = ["Say:", "", "Well,"]
    one = lm.next_token_log_probs(batch, tokens, prompts)
    many = next_token_log_probs(PlainCausalLM(lm), batch, tokens, prompts)
    assert one.shape == many.shape == (3, batch.width + 1, 3)
    assert torch.allclose(one, many, atol=1e-4)
    # the control: another prompt gives other numbers
    assert not torch.allclose(one, next_token_log_probs(PlainCausalLM(lm), batch, tokens, [""] * 3), atol=1e-4)


ADAPTER = re.compile(r"^\s*from [\w.]+ import .*\b(Transformers\w+|SentenceEncoder|LinearClassifier)\b", re.MULTILINE)


def test_no_code_above_the_models_names_an_adapter() -> None:
    """Only `textsearch.models` knows which classes there are; all else knows what they can do."""
    root = Path(__file__).parents[2]
    folders = ("samplers", "objectives", "textsearch/tasks", "textsearch/run", "textsearch/testing")
    files = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    assert len(files) > 100
    assert [str(path) for path in files if ADAPTER.search(path.read_text(encoding="utf-8"))] == []
    # the control
    assert ADAPTER.search("from textsearch.models.causal import TransformersCausalLM")
