"""What no mistake explains: edits that make a text say something else, however likely a model finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from textsearch.checks import keep, positive
from textsearch.kinds import CONFUSIONS, instance
from textsearch.language.confusions import Confusions, EnglishConfusions
from textsearch.language.edit_distance import letters_apart
from textsearch.language.mixed_up import sense, small_words
from textsearch.language.words import TIGHT, bare
from textsearch.tasks.channel import kind
from textsearch.tasks.drafted import akin


@final
@dataclass(frozen=True)
class Unexplained:
    """Nats for an edit beyond those of the channel; a cost for `Closeness`.

    A model that is taught to correct is a channel too, so that the costs of edits count little beside it. It takes a
    word that it cannot read for one that it likes: "coluld lost" becomes "would have to lose". What may be meant by a
    misspelling is a matter of letters, not of likelihood, and so these nats are the same whichever model judges.

    Attributes:
        confusions: what a word may have been meant to be, and which words may come and go.
        strictness: times all of it.
        letter: for the first letter that an unknown word is farther from what replaces it than from the nearest word,
            twice that for the second, and so on: of 100 misspellings some three are of a word one letter farther.
        sense: for a small word that says something by itself, "but" or "also", and comes, goes or gives way to one that
            it is not mistyped for; for a question that becomes a statement, or the other way about; and for small words
            that are of no class together, unless both may come and go.
        other: for a word in the place of one that is not akin to it, and for one that comes or goes and is not among
            those that often do.

    Raises:
        ValueError: a number that is not positive.

    >>> english = Unexplained(EnglishConfusions())
    >>> english("coluld", "could"), english("coluld", "would"), english("dog", "moon"), english(None, "everything")
    (0.0, 4.0, 12.0, 12.0)
    >>> english("but", "however"), english("but", "so"), english("also", None), english(None, "the")
    (0.0, 4.0, 4.0, 0.0)
    """

    confusions: Confusions
    strictness: float = 1.0
    letter: float = 4.0
    sense: float = 4.0
    other: float = 12.0

    def __post_init__(self) -> None:
        instance("confusions", self.confusions, CONFUSIONS)
        for name in ("strictness", "letter", "sense", "other"):
            keep(self, **{name: positive(name, getattr(self, name))})

    def __call__(self, old: str | None, new: str | None) -> float:
        """Nats; None is nothing. The gap before a word is no part of it."""
        return self.strictness * self._cost(old and _plain(old), new and _plain(new))

    def _cost(self, old: str | None, new: str | None) -> float:
        if old is None or new is None:
            word = (old or new or "").lower()
            if word not in self.confusions.inserted:
                return self.other
            return 0.0 if sense(word) is None else self.sense
        if old.lower() == new.lower():
            return 0.0
        if "?" in (old, new):
            return self.sense
        turned = new[:1].swapcase() + new[1:]
        what = kind(self.confusions, old, new)
        what = kind(self.confusions, old, turned) if what == "other" else what
        if what in {"apostrophe", "splitting", "confusion", "look-alike"}:
            return 0.0
        slip = letters_apart(old, new) == 1  # "or" for "of"
        if isinstance(self.confusions, EnglishConfusions) and not self.confusions.known(old):
            letters = self.confusions.farther(old, new)
            nats = self.letter * letters * (letters + 1) / 2
        else:
            nats = 0.0 if slip or sense(old.lower()) == sense(new.lower()) else self.sense
        if what != "other":
            return nats
        # small words of two classes do other work, however often a draft has one for the other
        unlike = self.sense if not slip and {old.lower(), new.lower()} <= small_words().keys() else 0.0
        return max(nats, unlike if akin(old, new) else self.other)


def _plain(word: str) -> str:
    return bare(word.strip()).replace(TIGHT, "")
