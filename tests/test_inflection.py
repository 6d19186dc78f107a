"""Inflections from the kept dictionaries are those of the package's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from textsearch.language import inflection

WORDS = ("dog", "ran", "saw", "selfie", "brand-idea", "okay", "colour", "bases", "Rex", "be", "sing", "better")


def said() -> dict[str, list[str]]:
    """What the next process would say, which has read no dictionary yet."""
    import lemminflect

    for owner, name in ((lemminflect.Inflections(), "infl_dict"), (lemminflect.Lemmatizer(), "lemma_dict")):
        vars(owner).pop(name, None)
    inflection._lemminflect.cache_clear()
    inflection.inflections.cache_clear()
    return {word: sorted(inflection.inflections(word)) for word in WORDS}


def test_kept_dictionaries_say_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTSEARCH_CACHE", str(tmp_path))
    try:
        fresh = said()
        (path,) = tmp_path.glob("lemminflect-*.json")
        whole = path.read_bytes()
        assert said() == fresh and "dogs" in fresh["dog"] and "run" in fresh["ran"] and path.read_bytes() == whole
        # it is read, and not only written
        kept = json.loads(whole)
        kept["infl_dict"]["dog"]["NNS"] = ["doggen"]
        path.write_text(json.dumps(kept))
        assert "doggen" in said()["dog"]
        # what is no table is left alone, and written anew
        path.write_text("{")
        assert said() == fresh and path.read_bytes() == whole
    finally:
        monkeypatch.undo()
        said()
