"""From the key press to the first sentence on the screen, to the best one, and to the end; chains against drafts.

    python -m benchmarks.first_sentence way "dog frisbee park" --turns 3
    python -m benchmarks.first_sentence server "dog frisbee park" --turns 3
    python -m benchmarks.first_sentence help --turns 5
    python -m benchmarks.first_sentence search sets.txt --sets 20 --drafts 32 --chains 8 --steps 100

`way` starts the command in a terminal of its own and notes when each piece of it came to the screen: the first line of
any kind, the first sentence that holds all words, the one that is printed as the best, the end. Each turn has a seed of
its own, and options of the command may follow. `server` is the same with --server: `textsearch serve` is started
before, on a free port, and ended after. `help` is the same of `textsearch --help`. Medians over turns, the lowest and
the highest, in seconds; models are in the cache, and files in memory after a turn that does not count.

`search` runs the task on sets of words, one a line or, in a file that ends in `jsonl`, {"concepts": [...]}, and prints
the lowest energy of each set among the drafts and after every tenth step, in the mean of all sets, with the seconds of
the thread. Sets share passes, so these seconds compare settings and are not those of a set alone.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import final

_CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|[\r\x00-\x08]")
_SENTENCE = re.compile(r"[A-Z\"“][^.!?\n]*[.!?]")


@final
@dataclass(frozen=True)
class Screen:
    """What came to a terminal.

    Attributes:
        pieces: (seconds since the key press, what came), in order.
        seconds: until the command had ended.
    """

    pieces: Sequence[tuple[float, str]]
    seconds: float

    def first(self, shows: Callable[[str], bool]) -> float:
        """When it first showed something; the sentence may come in several pieces. nan if never."""
        seen = ""
        for when, piece in self.pieces:
            seen = (seen + piece)[-4000:]
            if shows(_CONTROLS.sub("", seen)):
                return when
        return float("nan")

    @property
    def text(self) -> str:
        """All of it, without what only moves the cursor."""
        return _CONTROLS.sub("", "".join(piece for _, piece in self.pieces))


def watched(arguments: Sequence[str]) -> Screen:
    """The command line in a terminal of its own."""
    ours, theirs = pty.openpty()
    env = os.environ | {"COLUMNS": "160", "LINES": "40", "TERM": "xterm-256color"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "textsearch", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    pieces = []
    while True:
        if select.select([ours], [], [], 0.02)[0]:
            try:
                data = os.read(ours, 65536)
            except OSError:  # its end is closed
                break
            pieces.append((time.monotonic() - began, data.decode("utf-8", "replace")))
        elif process.poll() is not None:
            break
    if process.wait():
        raise RuntimeError(f"textsearch {' '.join(arguments)} left with {process.returncode}")
    os.close(ours)
    return Screen(pieces, time.monotonic() - began)


def way(words: str, turns: int, more: Sequence[str]) -> dict[str, list[float]]:
    """Seconds to each mark, a list over turns."""
    from objectives import Keywords
    from objectives.keywords import words as words_of

    keywords = Keywords(words.split(), inflections=True)
    wanted = [form for word in words.split() for form in keywords.forms(word)]

    def holds(text: str) -> bool:
        return any(all(form & set(words_of(one)) for form in wanted) for one in _SENTENCE.findall(text))

    found: dict[str, list[float]] = {"anything": [], "a sentence that holds all": [], "the best one": [], "the end": []}
    for turn in range(turns + 1):
        screen = watched(["keywords", words, "--seed", str(turn), *more])
        if not turn:
            continue
        best = re.findall(r"^ +\d+\.\d\d  (.+?)\s*$", screen.text, re.MULTILINE)[0]
        found["anything"].append(screen.first(lambda text: bool(text.strip())))
        found["a sentence that holds all"].append(screen.first(holds))
        found["the best one"].append(screen.first(partial(_shown, best)))
        found["the end"].append(screen.seconds)
        print(f"turn {turn}: " + ", ".join(f"{name} {own[-1]:.2f}" for name, own in found.items()), flush=True)
    return found


@contextmanager
def served() -> Iterator[str]:
    """The address of a server that is ready, and ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "textsearch", "serve", "--port", "0", "--quiet"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"serving at (\S+),", line):
                yield found[1]
                break
        else:
            raise RuntimeError("textsearch serve ended before it was ready")
    finally:
        process.terminate()
        process.wait()


def _shown(sentence: str, text: str) -> bool:
    return sentence in text


def search(sets: Sequence[Sequence[str]], drafts: int, chains: int, steps: int, seed: int) -> None:
    """The lowest energy of each set as it falls, with the seconds that it took."""
    from textsearch.models.defaults import default_causal_lm, default_masked_lm
    from textsearch.objective import evaluate
    from textsearch.run.loop import Progress
    from textsearch.tasks.keyword_sentences import build
    from textsearch.tasks.problem import Models, solve
    from textsearch.tasks.settings import KeywordSentences

    settings = KeywordSentences(drafts=drafts, chains=chains, steps=steps, seed=seed)
    models = Models(causal=default_causal_lm(), masked=default_masked_lm())
    began = time.process_time()
    problem = build(sets, settings, models)
    lowest = evaluate(problem.objective, problem.start).energy.view(len(sets), chains).amin(1)
    print(f"drafts {time.process_time() - began:7.1f} s  {float(lowest.mean()):.3f}", flush=True)

    def told(progress: Progress) -> None:
        if progress.step % 10 == 0 or progress.step == steps:
            own = progress.best_energies.view(len(sets), chains).amin(1)
            print(f"{progress.step:6} {time.process_time() - began:7.1f} s  {float(own.mean()):.3f}", flush=True)

    result = solve(problem, callbacks=[told])
    for number, own in enumerate(sets):
        rows = [row for row in range(len(result)) if result.inputs[row] == number]
        best = min(rows, key=lambda row: float(result.best_energies[row]))
        print(f"{result.best_energies[best]:8.2f}  {', '.join(own)}: {result.best_texts[best]}")


def sets_of(path: Path, count: int, skip: int) -> list[list[str]]:
    """The sets of a file."""
    lines = path.read_text(encoding="utf-8").splitlines()[skip : skip + count]
    return [json.loads(line)["concepts"] if path.suffix == ".jsonl" else line.split() for line in lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    one = parts.add_parser("way")
    one.add_argument("words")
    one.add_argument("--turns", type=int, default=3)
    with_server = parts.add_parser("server")
    with_server.add_argument("words")
    with_server.add_argument("--turns", type=int, default=3)
    two = parts.add_parser("help")
    two.add_argument("--turns", type=int, default=5)
    three = parts.add_parser("search")
    three.add_argument("files", type=Path, nargs="+")
    for name, default in (("sets", 20), ("skip", 0), ("drafts", 32), ("chains", 8), ("steps", 100), ("seed", 0)):
        three.add_argument(f"--{name}", type=int, default=default)
    told, more = parser.parse_known_args()
    if told.part == "search":
        sets = [own for file in told.files for own in sets_of(file, told.sets, told.skip)]
        search(sets, told.drafts, told.chains, told.steps, told.seed)
        return
    if told.part == "help":
        found = {"the end": [watched(["--help"]).seconds for _ in range(told.turns + 1)][1:]}
    elif told.part == "server":
        with served() as address:
            found = way(told.words, told.turns, ["--server", address, *more])
    else:
        found = way(told.words, told.turns, more)
    for name, own in found.items():
        print(f"{name}: {statistics.median(own):.2f} [{min(own):.2f}, {max(own):.2f}]")


if __name__ == "__main__":
    main()
