"""Inflections of English words, from the dictionary and the rules of lemminflect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, final

from textsearch.cache import cache_folder, write_whole


@cache
def inflections(word: str) -> frozenset[str]:
    """All forms of a word as a noun, verb, adjective or adverb, in lower case, the word itself among them.

    A word that heads its own entry in the dictionary ("clap", "saw") has the forms listed there; an inflected one
    ("ran") has those of the words that it may be a form of. A word unknown to the dictionary ("selfie") gets the plural
    and the verb forms that the spelling rules give. A word joined by hyphens is inflected at its end.

    Raises:
        ImportError: lemminflect is not installed.

    >>> sorted(inflections("clap"))
    ['clap', 'clapped', 'clapping', 'claps']
    >>> inflections("ran") == inflections("run")
    True
    >>> sorted(inflections("brand-idea"))
    ['brand-idea', 'brand-ideas']
    """
    lemminflect = _lemminflect()
    word = word.lower()
    head, hyphen, tail = word.rpartition("-")
    found = lemminflect.getAllInflections(word)
    if found:
        return _values(found) | {word}
    if hyphen:
        return frozenset(head + hyphen + form for form in inflections(tail))
    lemmas = _values(lemminflect.getAllLemmas(word)) - {word}
    if lemmas:
        return frozenset({word}).union(*(_values(lemminflect.getAllInflections(lemma)) for lemma in lemmas))
    if word.isascii() and word.isalpha():
        return frozenset({word}).union(
            *(_values(lemminflect.getAllInflectionsOOV(word, kind)) for kind in ("NOUN", "VERB"))
        )
    return frozenset({word})


def is_common_noun(word: str) -> bool:
    """Whether the dictionary has a word as a common noun.

    Raises:
        ImportError: lemminflect is not installed.

    >>> is_common_noun("Bats"), is_common_noun("Smiljan")
    (True, False)
    """
    return "NOUN" in _lemminflect().getAllLemmas(word.lower())


def may_be_noun(word: str) -> bool:
    """Whether a word may be a noun that is no inflected form of a verb; what the dictionary lacks may be one.

    Raises:
        ImportError: lemminflect is not installed.

    >>> [may_be_noun(word) for word in ("company", "radioactivity", "lent", "flows", "tall")]
    [True, True, False, False, False]
    """
    lemmas = _lemminflect().getAllLemmas(word.lower())
    if not lemmas:
        return True
    return ("NOUN" in lemmas or "PROPN" in lemmas) and set(lemmas.get("VERB", ())) <= {word.lower()}


def kinds_of(word: str) -> frozenset[str]:
    """The kinds of word that the dictionary has it as; none for what it lacks.

    Raises:
        ImportError: lemminflect is not installed.

    >>> sorted(kinds_of("runs")), kinds_of("Smiljan")
    (['NOUN', 'VERB'], frozenset())
    """
    return frozenset(_lemminflect().getAllLemmas(word.lower())) - {"PROPN"}


def _values(entry: dict[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(form.lower() for forms in entry.values() for form in forms)


@final
class Table:
    """A dictionary as text, of which a line is read when its word is asked for: most of it never is.

    Args:
        text: a line for each word, which ends what is before it: the word, a tab, and JSON.

    >>> table = Table.of({"dog": {"NNS": ["dogs"]}, "cat": {}})
    >>> table.get("dog", {}), table.get("cat", None), table.get("do", None), table.get("g", None)
    ({'NNS': ['dogs']}, {}, None, None)
    """

    def __init__(self, text: str) -> None:
        self.text = text

    @staticmethod
    def of(entries: Mapping[str, Any]) -> Table:
        """A dictionary written down."""
        return Table("".join(f"\n{word}\t{json.dumps(value)}" for word, value in entries.items()) + "\n")

    def get(self, word: str, default: Any) -> Any:
        """What stands there of a word."""
        if "\n" in word or "\t" in word:
            return default
        begin = self.text.find(f"\n{word}\t")
        if begin < 0:
            return default
        begin += len(word) + 2
        return json.loads(self.text[begin : self.text.index("\n", begin)])


@cache
def _lemminflect() -> Any:
    """The package, with its two dictionaries as they were kept: to read them from its own files takes half a second.

    A release of it that keeps them under other names reads its own files each time.
    """
    try:
        import lemminflect
    except ImportError as error:
        raise ImportError("inflections need lemminflect: pip install 'textsearch-sampling[tasks]'") from error
    owners = {"infl_dict": lemminflect.Inflections(), "lemma_dict": lemminflect.Lemmatizer()}
    places = {name: cache_folder() / f"lemminflect-{lemminflect.__version__}-{name}.txt" for name in owners}
    kept = {name: text for name, path in places.items() if (text := _read(path))}
    if kept.keys() == owners.keys():
        for name, owner in owners.items():
            vars(owner).setdefault(name, Table(kept[name]))
        return lemminflect
    # it reads each when it is first asked
    lemminflect.getAllInflections("dog"), lemminflect.getAllLemmas("dogs")
    for name, owner in owners.items():
        if isinstance(found := vars(owner).get(name), dict):
            write_whole(places[name], Table.of(found).text.encode())
    return lemminflect


def _read(path: Path) -> str:
    """What is kept in a file; nothing if that is no table."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
    return text if text.startswith("\n") and text.endswith("\n") else ""
