"""The form of a question: one sentence with a question mark that stands alone and does not give its answer away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import regex

from objectives import Forbidden, Pattern
from textsearch.batch import Vocabulary
from textsearch.kinds import shown
from textsearch.language.answers import Answer
from textsearch.language.literals import PATTERNS
from textsearch.objective import Objective

LAST_RESORT = ("What is it?", "Who was there?", "How many are there?")
"""Where no draft is a question, chains start from the first that does without the answer."""

_PRONOUNS = ("he", "she", "they", "we")
_BEFORE_SUBJECTS = (
    *("did", "does", "do", "was", "were", "is", "are", "has", "have", "had"),
    *("will", "would", "can", "could", "should", "may", "might", "must"),
)
_OF_THE_TASK = ("question", "answer", "passage")

_ABBREVIATION = regex.compile(rf"{PATTERNS['abbreviation']} | \b\p{{Lu}}\.(?=\s\p{{Lu}})", regex.VERBOSE)


@final
@dataclass(frozen=True)
class Pair:
    """A passage, an answer that it gives, and the number of the passage."""

    passage: str
    answer: Answer
    number: int


def form(pairs: Sequence[Pair]) -> Objective:
    """0 for a question that stands alone and does not hold the answer, +inf for all else."""
    given_away = Forbidden([_given_away_by(pair.answer.text) for pair in pairs])
    pointing = Pattern([pointing_elsewhere(pair.passage) for pair in pairs], forbid=True)
    return one_question_each(pairs) + given_away + pointing


def one_question_each(pairs: Sequence[Pair]) -> Pattern:
    """0 for one question, +inf for all else."""
    return Pattern([question(pair.passage) for pair in pairs], full=True)


def question(passage: str) -> str:
    """A regular expression of one question; the abbreviations of the passage do not end it.

    >>> [bool(regex.fullmatch(question("Mr. Smith left."), one)) for one in ("Where is Mr. Smith?", "Who? Me?", "No.")]
    [True, False, False]
    """
    kept = dict.fromkeys(found[0].strip() for found in _ABBREVIATION.finditer(passage))
    inner = "|".join([*map(regex.escape, kept), r"\d[.]\d", r"[^.!?。！？\s]", r"[ ]"])
    return rf"[^.!?。！？\s](?:{inner})*[?？]"


def pointing_elsewhere(passage: str) -> str:
    """A regular expression of what points out of a question: a pronoun for its subject that the passage has not either,
    and words for the passage, the question and the answer themselves.

    >>> pattern = pointing_elsewhere("Marie Curie won the Nobel Prize. She worked in Paris.")
    >>> [bool(regex.search(pattern, one)) for one in ("When did he win?", "Where did she work?", "What is the answer?")]
    [True, False, True]
    """
    known = set(regex.findall(r"\w+", passage.casefold()))
    pronouns = [one for one in _PRONOUNS if one not in known]
    own = [one for one in _OF_THE_TASK if one not in known]
    ways = [rf"(?:{'|'.join(_BEFORE_SUBJECTS)}) (?:{'|'.join(pronouns)})"] if pronouns else []
    return rf"(?i)\b(?:{'|'.join([*ways, *own])})\b" if ways or own else "[^\\s\\S]"


def _given_away_by(answer: str) -> list[str]:
    """What a question must not hold: the answer, and it as the owner of something."""
    bare = _bare(answer)
    return [bare, *(bare + mark for mark in ("'s", "’s"))]


def _bare(answer: str) -> str:
    """An answer without its article: a question gives it away without, too."""
    return str(regex.sub(r"^(?i:the|an?)\s+(?=\S)", "", answer.strip()))


def last_resort(pair: Pair, vocabulary: Vocabulary) -> str:
    """A question to start from where no draft is one.

    Raises:
        ValueError: none does without the answer.
    """
    own = form([pair])
    for text in LAST_RESORT:
        if bool(own.energy(vocabulary.encode([text])).isfinite()):
            return text
    raise ValueError(f"no question can do without the answer {shown(pair.answer.text)}: name other words")


def first_question(text: str) -> str:
    """The first line up to its question mark, or all of the line.

    >>> first_question(" Who came? Nobody.\\nSo"), first_question("No.\\n\\nWho?")
    ('Who came?', 'No.')
    """
    line = text.strip().split("\n")[0].strip()
    found = regex.match(r".*?[?？]", line)
    return found[0] if found else line
