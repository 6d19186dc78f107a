"""Inflections from the kept dictionaries are those of the package's own."""

from __future__ import annotations

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
        path, other = sorted(tmp_path.glob("lemminflect-*.txt"))
        whole = path.read_text()
        assert said() == fresh and "dogs" in fresh["dog"] and "run" in fresh["ran"] and path.read_text() == whole
        # it is read, and not only written
        path.write_text(whole.replace('"dogs"', '"doggen"'))
        assert "doggen" in said()["dog"]
        # what is no table is left alone, and written anew
        path.write_text(whole[:-1])
        assert said() == fresh and path.read_text() == whole and other.is_file()
    finally:
        monkeypatch.undo()
        said()
