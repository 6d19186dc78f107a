"""Literals: what is found in a table of texts, and what holds of any text."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from textsearch.language.literals import Kept, Words, joined, literals, opening, whole
from textsearch.language.words import TIGHT, attached, join, marked

TABLE: dict[str, list[str]] = {
    "Mail jon.smtih@exmaple.com, see https://www.Example.com/My-Page?a=b#c (http://x.org/a).": [
        "jon.smtih@exmaple.com",
        "https://www.Example.com/My-Page?a=b#c",
        "http://x.org/a",
    ],
    "Thanks @mikky for #teh_tag, at www.x.org/teh.": ["@mikky", "#teh_tag", "www.x.org/teh"],
    "Call my_fucntion() or foo.bar(x=1), f(x), but eat the apple(s).": ["my_fucntion()", "foo.bar(x=1)", "f(x)"],
    "The camelCase of getUserNmae, an iPhone, McDonald's, C++ and C#.": [
        "camelCase",
        "getUserNmae",
        "iPhone",
        "McDonald",
        "C++",
        "C#",
    ],
    "`inlien code` and\n```\nteh block\n```\nso": ["`inlien code`", "```\nteh block\n```"],
    "so\n```\nteh open block\nends nowhere": ["```\nteh open block\nends nowhere"],
    "Write 'x = foo(bar)' or \"npm isntall --save\".": ["'x = foo(bar)'", '"npm isntall --save"'],
    "\"He said it; then left.\" It's Bob's 'own' idea.": [],
    "We need 5 kg, 5kg, $5.00, 20 %, -5 °C and 10 km/h at 3:00pm or 3 am.": [
        "5 kg",
        "5kg",
        "$5.00",
        "20 %",
        "-5 °C",
        "10 km/h",
        "3:00pm",
        "3 am",
    ],
    "I saw 5 in the box, 12 more on 2024-01-02 and the 3rd of the 1990s.": ["5", "12", "2024-01-02", "3rd", "1990s"],
    "# Title\n\n- item\n1. first\n> quote": ["#", "-", "1.", ">"],
    "*so* **very** _it_ [text](http://a.b/c) ~~not~~": ["*", "*", "**", "**", "_", "_", "(http://a.b/c)", "~~", "~~"],
    "2 * 3 - 4 is - well - not bold": ["2", "3", "4"],
    "Open reprot.txt, ./rnu.sh --flag=3 -v, ~/.bashrc and C:\\Users\\me.": [
        "reprot.txt",
        "./rnu.sh",
        "--flag=3",
        "-v",
        "~/.bashrc",
        "C:\\Users\\me",
    ],
    "Set $HOME, {name} or %s: v1.2.3 of COVID-19, H2O.": ["$HOME", "{name}", "%s", "v1.2.3", "COVID-19", "H2O"],
    "It's at school.Then I go .And she don't": [],
    "Mr. Smith of the U.S. said so, e.g. here.": ["Mr.", "U.S.", "e.g."],
    "<b>x</b> Tom & Jerry &amp; 1 < 2": ["<b>", "</b>", "&amp;", "1", "2"],
    "A naïve café, and/or 今天很好 😀": ["and/or"],
    "I lvoe Beijing (北京) becuase it is 一座 big citty.": [],
}
CHINESE: dict[str, list[str]] = {
    "他住在New York，听 Rock & Roll、Café de Flore 的NBA和“OK”。": [
        "New York",
        "Rock & Roll",
        "Café de Flore",
        "NBA",
        "OK",
    ],
    "用C#写，C++也行，水是H₂O。": ["C#", "C++", "H₂O"],
    "我用iPhone 15 Pro Max，邮箱 a.b@c.de。": ["iPhone 15 Pro Max", "a.b@c.de"],
}


@pytest.mark.parametrize("text", TABLE)
def test_what_is_found(text: str) -> None:
    assert [text[start:stop] for start, stop in literals(text)] == TABLE[text]


@pytest.mark.parametrize("text", CHINESE)
def test_what_is_found_in_a_chinese_text(text: str) -> None:
    found = [text[start:stop] for start, stop in literals(text, chinese=True)]
    assert found == CHINESE[text]
    # the control: in a text of another language these are words
    assert [text[start:stop] for start, stop in literals(text)] != found


def some_texts(count: int) -> list[str]:
    """Of signs that literals are made of."""
    rng = random.Random(5)
    signs = "ab A1._-/@#`'\"()[]{}<>|*$%\\:\n\t 5kg=,;&~é中\u0301\u200d\u2060\u00a0😀"
    parts = [*signs, "http://", "www.", ".txt", "a_b", "foo()", "```", " --x", "5 kg", "don't", "Bob's", "’s"]
    return ["".join(rng.choices(parts, k=rng.randrange(1, 40))) for _ in range(count)]


def test_any_text() -> None:
    """Spans lie in order, apart and within; tokens with them, one a span, are the text again, letter by letter."""
    for text in [*some_texts(1500), *TABLE]:
        spans = literals(text)
        assert spans == joined(spans)
        assert all(0 <= start < stop <= len(text) for start, stop in spans)
        if not text.strip():
            continue
        tokens = marked(text, spans)
        assert join([token for token, _ in tokens]) == text
        kept = [token.lstrip(TIGHT).lstrip() for token, inside in tokens if inside]
        assert kept == [text[start:stop].lstrip() for start, stop in spans]
        line = " ".join(text.split())
        tokenised = attached(line.split(), literals(line))
        assert " ".join(token.lstrip(TIGHT).replace(TIGHT, " ") for token, _ in tokenised) == line
        # as phrases: each span is in one of them, and they stand in the text in their order
        phrases, end = whole(text, spans), 0
        for phrase in phrases:
            end = text.index(phrase, end) + len(phrase)
        assert all(any(text[start:stop] in phrase for phrase in phrases) for start, stop in spans)
        assert text.startswith(opening(text)) and not opening(text).strip().isalpha()


@pytest.mark.parametrize(
    "unit", ["a", "A", "Ab", "`", "a_", "(", "a.", '"', "$a_", "1,", "| - ", "a/", " ", "> ", '"a=b ']
)
def test_no_text_takes_long(unit: str) -> None:
    """An expression that tries a run of signs from each of its places in every way would not come back from this."""
    spans = literals(unit * 4000)
    assert spans == joined(spans)


def test_words_that_a_user_lists() -> None:
    text = "Kubectl and kubectl, not kubectls; New  Delhi or New Delhi, C# and Bob's."
    found = literals(text, Words(["kubectl", "New Delhi", "C#", "Bob"]))
    assert [text[start:stop] for start, stop in found] == ["Kubectl", "kubectl", "New Delhi", "C#", "Bob"]


def test_what_keep_may_be(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("\ufeffKowalczyk\n\n New Delhi \r\n", encoding="utf-8")
    for keep in (file, str(file), ["Kowalczyk", "New Delhi"]):
        assert Kept.of(keep).spans("So Kowalczyk saw New Delhi.") == [(3, 12), (17, 26)]
    assert Kept.of(False).spans("see `a`") == [] and Kept.of(True).spans("see `a`") == [(4, 7)]


@pytest.mark.parametrize(
    ("keep", "error", "message"),
    [
        ("x", ValueError, "keep='x' is no file that can be read: pass True, False, a list of words"),
        (Path("missing.txt"), ValueError, "is no file that can be read"),
        ("a\0b", ValueError, "is no file that can be read"),
        (1, TypeError, "keep=1 is a number: pass True"),
        (None, TypeError, "keep=None"),
        (["a", 2], TypeError, r"keep\[1\]=2 is no string"),
        ({"a": 1}, TypeError, "keep=.*: pass True"),
    ],
)
def test_what_keep_may_not_be(keep: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Kept.of(keep)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    file = tmp_path / "names.bin"
    file.write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ValueError, match="is no text in UTF-8"):
        Kept.of(file)
