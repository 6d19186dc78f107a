"""Kinds of parts, told by their methods: samplers, proposals, objectives, models, and what else may be given for one.

A class of somebody else's that has the methods is as good as ours. Loads nothing heavy.
"""

from __future__ import annotations

import inspect
import operator
import reprlib
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

T = TypeVar("T")


def shown(value: object, most: int = 80) -> str:
    """A value as messages show it: strings in `most` characters, few items of a list, classes and functions by name.

    >>> shown(["a"] * 9), shown(shown), shown(dict)
    ("['a', 'a', 'a', 'a', 'a', 'a', ...]", 'shown', 'dict')
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = most
    if isinstance(value, type) or inspect.isroutine(value):
        return str(getattr(value, "__name__", type(value).__name__))
    try:
        text = " ".join(short.repr(value).split())
    except Exception:
        text = "..."  # a number of more digits than Python prints, or an object that cannot be shown
    whole = isinstance(value, int | float | str | bytes | Collection) or "..." not in text
    return text if whole else f"{type(value).__name__}(...)"


@final
@dataclass(frozen=True)
class Kind:
    """A part that others are made of, told by what it can do.

    Attributes:
        name: with its article.
        has: methods and properties.
        remedy: what to do where something else was given.
        instead: the same where it was something in particular, by the name of its kind.
        lacks: what tells it from others that have all of these.
    """

    name: str
    has: tuple[str, ...]
    remedy: str
    instead: Mapping[str, str] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()

    def of(self, value: object) -> bool:
        """Whether `value` is one, by its methods."""
        if isinstance(value, type | str):  # a string can encode itself
            return False
        return all(_has(value, one) for one in self.has) and not any(_has(value, one) for one in self.lacks)


_LOAD = "load one, such as textsearch.models.{}"
_ORDER = "the order is generate(objective, sampler, inputs)"
_TEXTS = "texts"

OBJECTIVE = Kind(
    "an objective",
    ("energy", "energy_within", "parts", "cost", "lower_bound", "check", "freeze", "name"),
    "take one of `objectives`, wrap a function of texts in FunctionObjective(function), or derive from "
    "textsearch.Objective",
    {
        "a sampler": _ORDER,
        "a proposal": _ORDER,
        "a function": "wrap a function of texts, FunctionObjective(function)",
        "a list": "add the terms up, a + 2.0 * b",
        "a tuple": "add the terms up, a + 2.0 * b",
        "a dictionary": "add the terms up, a + 2.0 * b",
        "a string": "pass the thing, not its name: make one, such as Fluency() + Keywords(['dog'])",
        _TEXTS: _ORDER,
        "a transformers model": 'wrap it, loaded by its name or folder, Fluency(textsearch.causal_lm("gpt2"))',
        "a causal language model": "wrap it, Fluency(model)",
        "a masked language model": "wrap it, PseudoLikelihood(model)",
    },
)
SAMPLER = Kind(
    "a sampler",
    ("init", "step", "kinds", "guarantee", "vocabulary"),
    "make one, such as MetropolisHastings() or MetropolisHastings(Replace(masked_lm()))",
    {
        _TEXTS: _ORDER,
        "a masked language model": "wrap it, MetropolisHastings(Replace(model))",
        "a causal language model": "wrap it, MetropolisHastings(SuffixResampling(model))",
        "a transformers model": "wrap it, loaded by its name or folder, "
        'MetropolisHastings(Replace(textsearch.masked_lm("bert-base-uncased")))',
        "a schedule": "the sampler comes first, SimulatedAnnealing(sampler, schedule)",
        "a proposal": "wrap it, MetropolisHastings(proposal)",
        "a proposal of whole texts": "wrap it, Rejection, IteratedResampling or ImportanceSampling(proposal)",
        "an objective": _ORDER,
        "a list": "take turns, Cycle([...]), or draw by chance, samplers.Mixture({...: 0.5, ...: 0.5})",
    },
)
PROPOSAL = Kind(
    "a proposal",
    ("propose", "kinds", "vocabulary", "check"),
    "make one, such as Replace(masked_lm())",
    {
        "a sampler": "take the proposal alone; samplers are put together by samplers.Cycle and samplers.Mixture",
        "a proposal of whole texts": "it draws texts afresh: take Rejection, IteratedResampling or ImportanceSampling",
        "a masked language model": "wrap it, Replace(model)",
        "a causal language model": "wrap it, SuffixResampling(model)",
        "a string": "load it, Replace(textsearch.masked_lm({}))",
        "a transformers model": "wrap it, loaded by its name or folder, "
        'Replace(textsearch.masked_lm("bert-base-uncased"))',
        "an objective": "the proposal says where to go, the objective goes to generate(objective, sampler)",
        "a list": "mix them, samplers.proposals.Mixture({...: 0.5, ...: 0.5})",
        "a dictionary": "mix them, samplers.proposals.Mixture({...: 0.5, ...: 0.5})",
    },
)
INDEPENDENT = Kind(
    "a proposal of whole texts",
    ("draw", "log_prob", "vocabulary", "check"),
    "take Fill, FromLeft or Uniform of samplers.proposals",
    {
        "a proposal": "it edits a text: take Fill, FromLeft or Uniform, or MetropolisHastings(proposal) as the sampler",
        "a masked language model": "wrap it, Fill(model)",
        "a causal language model": "wrap it, FromLeft(model)",
        "a vocabulary": "wrap it, Uniform(vocabulary)",
    },
)
MASKED = Kind(
    "a masked language model",
    ("log_probs", "vocabulary"),
    _LOAD.format('masked_lm("bert-base-uncased"), or masked_lm() for the default'),
    {
        "a string": "load it, textsearch.models.masked_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.masked_lm("bert-base-uncased")',
    },
)
CAUSAL = Kind(
    "a causal language model",
    ("score",),
    _LOAD.format('causal_lm("gpt2"), or causal_lm() for the default'),
    {
        "a string": "load it, textsearch.models.causal_lm({}); a prompt or a context is given by name",
        "a transformers model": 'load it by its name or folder, textsearch.models.causal_lm("gpt2")',
        "a tokenizer": 'load both by one name or folder, textsearch.models.causal_lm("gpt2")',
        "a tuple": 'load model and tokenizer by one name or folder, textsearch.models.causal_lm("gpt2")',
    },
)
CONDITIONAL = Kind(
    "a model of texts given a source",
    ("score",),
    _LOAD.format('causal_lm("gpt2") or seq2seq_lm("t5-small")'),
    {
        "a string": "load it, textsearch.models.causal_lm({}) or seq2seq_lm({}); a source is given by name, source={}",
        "a transformers model": 'load it by its name or folder, textsearch.models.seq2seq_lm("t5-small")',
    },
)
SUFFIX = Kind(
    "a model that writes on from left to right",
    ("draw_suffixes", "suffix_log_probs", "vocabulary"),
    _LOAD.format('causal_lm("gpt2"), or causal_lm() for the default'),
    {
        "a string": "load it, textsearch.models.causal_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.causal_lm("gpt2")',
    },
)
TOKENWISE = Kind(
    "a model that tells the next token",
    ("log_probs_after", "eos", "vocabulary"),
    _LOAD.format('causal_lm("gpt2"), or causal_lm() for the default'),
    {
        "a string": "load it, textsearch.models.causal_lm({})",
        "a transformers model": 'load it by its name or folder, textsearch.models.causal_lm("gpt2")',
    },
)
ENCODER = Kind(
    "a sentence encoder",
    ("encode",),
    _LOAD.format('sentence_encoder("sentence-transformers/all-MiniLM-L6-v2"), or sentence_encoder() for the default'),
    {"a string": "load it, textsearch.models.sentence_encoder({}); a text is given by name, texts={}"},
    lacks=("decode",),
)
CLASSIFIER = Kind(
    "a text classifier",
    ("labels", "log_probs"),
    _LOAD.format('text_classifier("distilbert-base-uncased-finetuned-sst-2-english")'),
    {"a string": "load it, textsearch.models.text_classifier({})"},
)
VOCABULARY = Kind(
    "a vocabulary",
    ("size", "mask_id", "allowed", "continues", "encode", "decode"),
    "take that of the model or the sampler, model.vocabulary",
)
CONFUSIONS = Kind(
    "a table of confusions",
    ("of", "inserted"),
    "take textsearch.language.confusions.EnglishConfusions() or ListedConfusions({...})",
)
BATCH = Kind(
    "a batch", ("tokens", "lengths", "editable", "inputs", "token_lists"), "encode texts, vocabulary.encode([...])"
)
RESULT = Kind("a result", ("texts", "trace", "recorded", "samples", "inputs"), "pass what generate(...) gave back")
SCHEDULE = Kind("a schedule", ("over", "__call__"), "make one, such as geometric(2.0, 0.1)")
_FOREIGN = Kind("a transformers model", ("config", "forward", "state_dict"), "")
_TOKENIZER = Kind("a tokenizer", ("convert_ids_to_tokens", "batch_decode"), "")

_KNOWN = (
    OBJECTIVE, SAMPLER, PROPOSAL, INDEPENDENT, BATCH, RESULT, _FOREIGN, _TOKENIZER, CLASSIFIER, MASKED, CAUSAL,
    VOCABULARY, ENCODER, SCHEDULE,
)  # fmt: skip
"""What things can be, the first that suits."""


def nature(value: object) -> str:
    """What a thing is, with its article.

    >>> nature(3), nature(dict), nature(None), nature(len)
    ('a number', 'a class', 'None', 'a function')
    """
    if value is None:
        return "None"
    if isinstance(value, type):
        return "a class"
    for types, name in (
        (bool, "a truth value"),
        (int | float | complex, "a number"),
        (str | bytes, "a string"),
        (list, "a list"),
        (tuple, "a tuple"),
        (Mapping, "a dictionary"),
        (Set, "a set"),
    ):
        if isinstance(value, types):
            return name
    for kind in _KNOWN:
        if kind.of(value):
            return kind.name
    if plain_number(value) is not None:
        return "a number"
    if inspect.isroutine(value):
        return "a function"
    return _unknown(value)


def instance(name: str, value: T, kind: Kind) -> T:
    """A part of the right kind.

    >>> instance("sampler", "gibbs", SAMPLER)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    TypeError: sampler='gibbs' is a string, not a sampler: make one, such as MetropolisHastings() or ...
    """
    if kind.of(value):
        return value
    given = nature(value)
    texts = isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(item, str) for item in value)
    if texts and _TEXTS in kind.instead:
        remedy = kind.instead[_TEXTS]
    elif isinstance(value, type):
        remedy = f"make one, {value.__name__}(...)" if hasattr(value, kind.has[0]) else kind.remedy
    elif given in kind.instead:
        remedy = kind.instead[given].replace("{}", shown(value))
    elif inspect.isroutine(value):
        remedy = f"call it if it makes one, or {kind.remedy}"
    elif given == _unknown(value) and type(value).__module__ != "builtins":
        missing = [one for one in kind.has if not _has(value, one)]
        remedy = f"it has no {', '.join(missing)}; {kind.remedy}"
    else:
        remedy = kind.remedy
    raise TypeError(f"{name}={shown(value)} is {'' if value is None else f'{given}, '}not {kind.name}: {remedy}")


def _unknown(value: object) -> str:
    own = type(value).__name__
    return f"{'an' if own[:1].lower() in 'aeiou' else 'a'} {own}"


def plain_number(value: Any) -> int | float | None:
    """A number of Python, numpy or torch as one of Python; None for all that is none, truth values too."""
    if type(value) in (int, float):
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool | str | bytes | bytearray | complex | type):
        return None
    kind = str(getattr(value, "dtype", ""))
    if getattr(value, "ndim", 0) != 0 or "bool" in kind or "complex" in kind:
        return None
    try:
        return operator.index(value)
    except Exception:
        pass  # a number with a fraction has no index
    try:
        return float(value)
    except Exception:
        return None


def _has(value: object, name: str) -> bool:
    """Whether a method or property is there; properties are not worked out, wrappers that hand on are asked."""
    return inspect.getattr_static(value, name, None) is not None or hasattr(value, name)
