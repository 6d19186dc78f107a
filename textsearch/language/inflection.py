"""Inflections of English words, from the dictionary and the rules of lemminflect."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

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


def _values(entry: dict[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(form.lower() for forms in entry.values() for form in forms)


@cache
def _lemminflect() -> Any:
    """The package, with its two dictionaries as they were kept: to read them from its own files takes seconds.

    A release of it that keeps them under other names reads its own files each time.
    """
    try:
        import lemminflect
    except ImportError as error:
        raise ImportError("inflections need lemminflect: pip install 'textsearch-sampling[tasks]'") from error
    owners = {"infl_dict": lemminflect.Inflections(), "lemma_dict": lemminflect.Lemmatizer()}
    path = cache_folder() / f"lemminflect-{lemminflect.__version__}.json"
    kept = _read(path)
    if kept.keys() == owners.keys():
        for name, owner in owners.items():
            vars(owner).setdefault(name, kept[name])
        return lemminflect
    # it reads each when it is first asked
    lemminflect.getAllInflections("dog"), lemminflect.getAllLemmas("dogs")
    found = {name: vars(owner).get(name) for name, owner in owners.items()}
    if all(found.values()):
        write_whole(path, json.dumps(found).encode())
    return lemminflect


def _read(path: Path) -> dict[str, dict[str, dict[str, list[str]]]]:
    """What is kept in a file; nothing if that is no table."""
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
