r"""A regular expression that allows whatever one with backreferences, recursion or atomic groups allows, and more.

What only backtracking can decide is replaced by something regular that matches at least as much: a backreference and a
call of a group by that group, calls within calls, as those of recursion, a few times and then by anything, an atomic
group by a plain one, a condition on a group by both of its branches. A lookaround around such a thing is left out. So a
beginning that this expression rules out is ruled out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

import regex

from objectives.linear_search import Either, Here, Look, NotRegularError, One, Reader, Repeat, Row, Tree, tree_of

ANYTHING: Final = Repeat(One(".", regex.DOTALL), 0, None)
NOTHING: Final = Row(())

PASSES = 4
"""Times that an expression is read; in the first calls are anything, and later what was read before."""

LARGEST = 2_000
"""Parts of what one backreference stands for, and of what all calls together do."""

WHOLE = 20_000
"""Parts of all that is put in, and of the whole, repeats written out; what goes beyond is anything."""

_UNDERSTOOD = (
    regex.IGNORECASE | regex.MULTILINE | regex.DOTALL | regex.UNICODE | regex.ASCII | regex.VERSION0 | regex.VERSION1
)
_GROUP = regex.compile(r"\((?:\?P?<(?P<name>\w+)>|(?![?*]))")
_PLAIN = regex.compile(r"\(\?[>|]")
_BRANCHES = regex.compile(r"\(\?\|")
_BACK = regex.compile(r"\\(?P<number>[1-9]\d?)(?!\d)|\\g<(?P<any>\w+)>|\(\?P=(?P<name>\w+)\)")
_AGAIN = regex.compile(r"\(\?(?:(?P<whole>R|0)|(?P<number>\d+)|(?:&|P>)(?P<name>\w+))\)")
_DEFINE = regex.compile(r"\(\?\(DEFINE\)")
_IF = regex.compile(r"\(\?(?:\(\w+\)|(?=\(\?<?[=!]))")
_LOOK = regex.compile(r"\(\?(?P<behind><?)(?P<sign>[=!])")
_POSIX_SET = regex.compile(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\\[])*\]", regex.DOTALL)
_NESTED_SET = regex.compile(r"(\[\^?\]?(?:\\.|[^\]\\\[]|(?1))*\])", regex.DOTALL)


def relaxed_tree_of(pattern: str) -> Tree | None:
    r"""A tree that matches at least what the expression matches; None where not even that is known.

    >>> relaxed_tree_of(r"(a)\1") == relaxed_tree_of("(a)(?:a)")
    True
    >>> relaxed_tree_of("(?:dog){e<=1}") is None
    True
    """
    try:
        return tree_of(pattern)
    except NotRegularError:
        pass
    flags = regex.compile(pattern).flags
    # one letter may be equal to two, by the rules of case of version 1
    if flags & ~_UNDERSTOOD or (flags & regex.VERSION1 and flags & regex.IGNORECASE):
        return None
    tree: Tree | None = None
    # repeats of what is put in may make it large all the same
    for most in (LARGEST, LARGEST // 10, LARGEST // 100, 0):
        try:
            tree = _read(pattern, flags, most)
        except NotRegularError:
            return None
        if _size(tree) <= WHOLE:
            break
    return tree


def _read(pattern: str, flags: int, most: int) -> Tree:
    """A tree in which nothing of more than `most` parts stands for a backreference, and for all calls together."""
    calls: Mapping[str, Tree] = {}
    of_calls = most // max(1, len(_AGAIN.findall(pattern)))
    tree: Tree = ANYTHING
    for _ in range(PASSES):
        reader, before = _Relaxed(pattern, flags, calls, most), tree
        tree = reader.whole(flags & ~(regex.UNICODE | regex.VERSION0))
        if tree == before or not reader.numbered:
            break
        # what is called may be anywhere in the expression
        called = {**reader.groups, "": without_conditions(tree)}
        small = {key for key, own in called.items() if _size(own) <= of_calls}
        calls = {key: called[key] if key in small else calls[key] for key in called if key in small or key in calls}
    return tree


def _size(tree: Tree) -> int:
    """Parts, repeats written out."""
    match tree:
        case Row() | Either():
            return 1 + sum(map(_size, tree.parts))
        case Repeat():
            return 1 + max(tree.low, tree.high or 1) * _size(tree.body)
        case Look():
            return 1 + _size(tree.body)
        case One() | Here():
            return 1


@final
class _Relaxed(Reader):
    """Reads more than what is regular."""

    leading = regex.compile(r"(?:\(\?(?:[aimsu]+|V[01])\))+")

    def __init__(self, pattern: str, flags: int, calls: Mapping[str, Tree], most: int) -> None:
        super().__init__(pattern, flags)
        self.calls, self.most, self.room = calls, most, WHOLE
        self.sizes: dict[int, int] = {}  # by identity: groups and calls stay
        self.base = flags & (regex.ASCII | regex.VERSION1)
        self.groups: dict[str, Tree] = {}
        self.count = self.replaced = 0
        # groups of one number, or of one name, may then stand in several places
        names = [found["name"] for found in _GROUP.finditer(pattern) if found["name"]]
        self.numbered = _BRANCHES.search(pattern) is None and len(set(names)) == len(names)

    def _end_of_repeat(self) -> None:
        if self._next() == "+":
            self.replaced += 1
            self.at += 1
        super()._end_of_repeat()

    def _part(self, flags: int) -> Tree:
        before = self.replaced
        if (found := self._take(_LOOK)) is not None:
            body = self._closed(flags)
            return NOTHING if self.replaced > before else Look(body, bool(found["behind"]), found["sign"] == "=")
        if (found := self._take(_GROUP)) is not None:
            return self._group(found["name"], flags)
        found = self._take(_POSIX_SET) or (self._take(_NESTED_SET) if self.base & regex.VERSION1 else None)
        if found is not None:
            return One(found[0], flags | self.base)
        self.replaced += 1
        if self._take(_PLAIN) is not None:
            return self._closed(flags)
        if (found := self._take(_BACK)) is not None:
            known = self.numbered and not flags & regex.IGNORECASE
            group = self.groups.get(found["number"] or found["any"] or found["name"]) if known else None
            return self._put(group)
        if (found := self._take(_AGAIN)) is not None:
            return self._put(self.calls.get("" if found["whole"] else found["number"] or found["name"]))
        if self._take(_DEFINE) is not None:
            self._closed(flags)
            return NOTHING
        if self._take(_IF) is not None:
            return self._if(flags)
        self.replaced -= 1
        return super()._part(flags)

    def _put(self, tree: Tree | None) -> Tree:
        """What stands for a backreference or a call; anything where that is not known or too large."""
        if tree is None:
            return ANYTHING
        if id(tree) not in self.sizes:
            self.sizes[id(tree)] = _size(tree)
        size = self.sizes[id(tree)]
        if size > min(self.most, self.room):
            return ANYTHING
        self.room -= size
        return tree

    def _if(self, flags: int) -> Tree:
        found, before = self._take(_LOOK), self.replaced
        body = NOTHING if found is None else self._closed(flags)
        branches = [self._row(flags), NOTHING]
        if self._next() == "|":
            self.at += 1
            branches[1] = self._row(flags)
        self.at += 1
        if found is not None and self.replaced == before:
            behind, wanted = bool(found["behind"]), found["sign"] == "="
            looks = (Look(body, behind, wanted), Look(body, behind, not wanted))
            branches = [Row((look, branch)) for look, branch in zip(looks, branches, strict=True)]
        return Either(tuple(branches))

    def _group(self, name: str | None, flags: int) -> Tree:
        self.count += 1
        number = str(self.count)
        tree = self._closed(flags)
        text = without_conditions(tree)
        for key in (number, name):
            if key is not None:
                # several groups may have one name
                self.groups[key] = Either((self.groups[key], text)) if key in self.groups else text
        return tree


def without_conditions(tree: Tree) -> Tree:
    """The same without places and lookarounds, which hold where they stand and not at another place."""
    match tree:
        case Here() | Look():
            return NOTHING
        case Row():
            return Row(tuple(map(without_conditions, tree.parts)))
        case Either():
            return Either(tuple(map(without_conditions, tree.parts)))
        case Repeat():
            return Repeat(without_conditions(tree.body), tree.low, tree.high)
        case One():
            return tree
