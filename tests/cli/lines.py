"""Command lines at random: what people type, mistype and paste, and what files may hold."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from pathlib import Path

from tests.cli.stub import COMMANDS

# fmt: off
OVERLAPPING = [f"{a} {b}" for a in "abcdefg" for b in "abcdefg" if a != b]
FINE_TEXTS = ["She go to school.", "dog frisbee park", "hot dog, park", "The [MASK] ran.", "[bold]x[/] \\\\[/]",
              ":heart: C:\\temp\\", "a\tb", "caf\u00e9 \u4e2d\u6587 \U0001f600", "$HOME %s {}"]
ODD_TEXTS = ["", " ", "!", "!!", "-", "--", "-5", "a" * 3000, "caf\udce9", "a\0b", "\x1b[31mred", "a\nb", "\u2028",
             "\x85", "\u202e", "{", "[1]", '["a"]', "null", "1e999", "'", '"', "../..", ",", ", ,", "U.S. economy",
             "Mr. Smith, 3.5 percent", "info@example.com",
             "dog " * 1200, "a b, " * 14, ", ".join(OVERLAPPING), "\u2603", "x" * 200_000]
FINE_REQUESTS = ['{"prefix": "A"}', '{"required": "dog"}', '{"template": "The * ran."}', '{"words": [6, 12]}']
ODD_REQUESTS = ['{"prefix": 5}', '{"words": [12, 6]}', '{"words": [0, 0]}', '{"words": "12"}', '{"words": [1e999, 2]}',
                '{"regex": "("}', '{"regex": ""}', '{"acrostic": "A1"}', '{"no such": 1}', "{}", '{"required": [1]}',
                '{"rhyme": "xqzzy"}', '{"template": "*"}', '{"prefix": "\\ud800"}', '{"prefix": "A", "prefix": "B"}',
                '{"forbidden": ["a"], "prefix": "a"}', '{"words": [1, NaN]}', '{"label": "x"}', "[" * 3000,
                '{"acrostic": "1"}', '{"words": [100, 120]}', '{"characters": [2000, null]}', '{"suffix": "\u2603"}',
                '{"template": "a *{1,99999999999}"}', '{"template": "' + "* a " * 20 + '"}',
                '{"words": 1' + "0" * 5000 + "}",
                '{"prefix": "' + "word " * 3000 + '"}', '{"required": ["' + '", "'.join(["a b"] * 14) + '"]}',
                '{"required": ["' + '", "'.join(OVERLAPPING[:25]) + '"]}',
                '{"required": ["' + '", "'.join(["dog"] * 1200) + '"]}',
                '{"regex": "' + "|".join(map(str, range(15_000))) + '"}', '{"regex": "((a{1000}){1000}){1000}"}',
                '{"context": {"a": []}}', "no json", '{"prefix": ', "[1]", '["a"]', "null", ""]
FINE_NUMBERS = ["1", "2", "3"]
ODD_NUMBERS = ["0", "-1", "1.5", "x", "", "nan", "inf", "-inf", "1e9", "99999999999999999999", "0x10", "\uff11", " 7 "]
FINE_RANGES = ["6-12", "8", "6-"]
ODD_RANGES = ["12-6", "-", "0" * 5000 + "8", "9" * 5000, "100-120", "0-0", "1-99999999999",
              "1-200000000", "a-b", "", "6-12-20", "-6"]
ODD_MODELS = ["no/such/model", "./models/x", "/", ".", "", "a b", "\0", "~/m", "x" * 300]

NUMBERS = (FINE_NUMBERS, ODD_NUMBERS)
RANGES = (FINE_RANGES, ODD_RANGES)
MODELS = (["gpt2", "owner/name"], ODD_MODELS)
TEXTS = (FINE_TEXTS[:4], ODD_TEXTS)
LANGUAGES = (["en"], ["english", "zh", "", "EN", "e n"])

SHARED = {"--chains": NUMBERS, "--steps": NUMBERS, "--seed": NUMBERS, "--temperature": NUMBERS, "--top": NUMBERS,
          "--batch-inputs": NUMBERS, "--causal": MODELS, "--masked": MODELS}
OWN = {
    "ask": {"--answer": TEXTS, "--answers": NUMBERS, "--weight": NUMBERS},
    "correct": {"--strictness": NUMBERS, "--lang": LANGUAGES},
    "infill": {"--lang": LANGUAGES},
    "keywords": {"--lang": LANGUAGES},
    "paraphrase": {"--similarity": NUMBERS, "--diversity": NUMBERS, "--lang": LANGUAGES, "--encoder": MODELS},
    "sample": {"--prompt": TEXTS, "--draws": NUMBERS, "--power": NUMBERS, "--max-length": NUMBERS, "--tries": NUMBERS,
               "--choices": (["a,b", "red, green", '["a, b"]'], ["", " ", ",", "[", '["a"', "[1]", "[]", '[" "]']),
               "--regex": (["a+", "[0-9]{4}"], ["", "(", "a\n", "(?P<a>", "[", "((a{1000}){1000}){1000}"]),
               "--sampler": (["auto", "chains", "particle-gibbs", "weighted-rejection"], ["nuts", "", "Auto"])},
    "write": {"--prefix": TEXTS, "--suffix": TEXTS, "--required": TEXTS, "--forbidden": TEXTS, "--words": RANGES,
              "--characters": RANGES,
              "--template": (["The * ran.", "*{2,4} a"], ["*", "*{", "*{4,2}", "* *", "* a " * 20, "a *{999999} b"]),
              "--regex": (["a+"], ["(", "[", "(?P<a>", "\\", "*"]), "--rhyme": (["day"], ["xqzzy", "", "1"]),
              "--acrostic": (["dog"], ["A1", "", "!"]), "--label": TEXTS, "--topic": TEXTS, "--context": TEXTS,
              "--classifier": MODELS, "--label-weight": NUMBERS, "--topic-weight": NUMBERS, "--lang": LANGUAGES},
}
FLAGS = ["--json", "--jsonl", "--quiet", "--report", "--no-report"]
ODD_FLAGS = ["--tokenised", "--exact-forms", "--in-order", "--help", "-h", "--x", "--", "--nonsense=1", "--chain=1"]
FILES = ["fine.txt", "bom.txt", "marks.txt", "requests.jsonl", "refused.txt", "long.txt", "link.txt", "hard.txt", "-"]
ODD_FILES = ["latin.txt", "empty.txt", "blank.txt", "nul.txt", "wide.txt", "cut.txt", ".", "missing.txt", "",
             "fine.txt/x"]
OUTPUTS = ["new.jsonl", "other.jsonl"]
ODD_OUTPUTS = ["/dev/null", "missing/x", "answers.jsonl", "-", *FILES, *ODD_FILES]
# fmt: on


def make_files(folder: Path) -> None:
    """Files of all kinds."""
    contents = {
        "fine.txt": b"one\ntwo\n\nthree\n",
        "bom.txt": b"\xef\xbb\xbfone\r\ntwo",
        "marks.txt": "a\u2028b\nc\x85d\n".encode(),
        "requests.jsonl": "\n".join([*FINE_REQUESTS, *ODD_REQUESTS]).encode(),
        "refused.txt": b"!\n!!\n",
        "long.txt": b"x" * 300_000 + b"\nfine\n",
        "latin.txt": b"caf\xe9\n",
        "empty.txt": b"",
        "blank.txt": b"\n\n \n",
        "nul.txt": b"a\0b\n",
        "wide.txt": "text".encode("utf-16"),
        "cut.txt": b"a \xe2\x98",
        "answers.jsonl": b'{"number": 0, "input": "one", "texts": []}\n',
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "link.txt").symlink_to("fine.txt")
    os.link(folder / "fine.txt", folder / "hard.txt")


def line(rng: random.Random, odd: float = 0.08) -> tuple[list[str], bytes]:
    """Arguments, and what standard input holds; each value is an odd one with probability `odd`."""

    def pick(fine: Sequence[str], strange: Sequence[str]) -> str:
        return rng.choice(strange if rng.random() < odd else fine)

    command = pick(COMMANDS, ["", "keyword", "Correct", "wirte", "--seed", "-h"])
    said = (FINE_REQUESTS, ODD_REQUESTS) if command == "write" else (FINE_TEXTS, ODD_TEXTS)
    parts = [[pick(*said)] for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))]
    known = SHARED | OWN.get(command, {})
    for option in rng.sample(sorted(known), rng.choice([0, 1, 2, 4])):
        value = pick(*known[option])
        parts.append([option, value] if rng.random() < 0.8 else [f"{option}={value}"])
    if rng.random() < 0.3:
        parts.append(["--file", pick(FILES, ODD_FILES)])
    if rng.random() < 0.3:
        parts.append(["--output", pick(OUTPUTS, ODD_OUTPUTS)])
    parts += [[pick(FLAGS, ODD_FLAGS)] for _ in range(rng.choice([0, 0, 1, 2]))]
    rng.shuffle(parts)
    flat = [word for part in parts for word in part]
    given = pick(["one\ntwo\n", "\ufeffone\n", "\n".join(FINE_REQUESTS)], ["", "a\0b", "\n"]).encode()
    return [command, *flat] if rng.random() < 0.98 else flat, given if rng.random() < 0.95 else b"caf\xe9"
