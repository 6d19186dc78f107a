"""Words of English that are mixed up, listed: small words of one class, and pairs that sound or look alike."""

from __future__ import annotations

from functools import cache

_CLASSES = """
a an the this that these those some any no every each all both another my your his her its our their one
is are was were be been being am
has have had having do does did done
can could will would may might shall should must
to for in on at of by with from about into onto as than over under through during since until between among within
and or but so because if when while although however then thus therefore
which who whom whose that what where
i me my mine
you your yours
he she him his her hers
it its they them their theirs
we us our ours
much many more most lot lots
few little less fewer least
not no never
too very so to also quite
there their it they here
other others another
, ; : . and
? .
someone anyone everyone nobody something anything everything nothing somebody anybody everybody
myself yourself himself herself itself ourselves themselves
"""

_PAIRS = """
a an; their there they're; then than; to too two; its it's; lose loose lost; affect effect; were where we're was; your
you're; quiet quite quit; form from; whose who's; accept except; advice advise; choose chose chosen; close closed;
good well; bad badly; say tell said told; make do; see watch look; economic economical; historic historical; besides
beside; everyday daily; most almost; every all; rise raise; lie lay; learn teach; bring take; borrow lend; amount
number; big large great; like as; hard hardly; late lately later; near nearby; alive live life lives; personal
personnel; principle principal; passed past; piece peace; weather whether; which witch; week weak; buy by bye; know
now no; new knew; right write; hole whole; hear here; hour our; hours ours; are our or; wear where ware; sea see; son
sun; meet meat; thought though through thorough taught; think thing things thinks; leave live; feel fell felt fill;
want won't; person people persons; person's people's; kind kinds; cause because; of off; on one; at it; an and; is
it's his; as has; he the; this these thus; that than; can cannot; may many; in it; so some; maybe may; sometime
sometimes; alone lonely; dead died death die; succeed success successful successfully; sell sale; advertise
advertisement advertising; different difference; important importance; convenient convenience; confident confidence;
difficult difficulty; knowledge knowledges; information informations; research researches; equipment equipments;
homework homeworks; furniture furnitures; stuff stuffs; advice advices; child children childs; woman women; man men;
life lives; foot feet; tooth teeth; mouse mice; leaf leaves; wife wives; half halves; specially especially;
respectable respectful respective; sensible sensitive; beneficial benefit; concern concerned; interest interested
interesting; bore bored boring; excite excited exciting; tire tired tiring; surprise surprised surprising; relax
relaxed relaxing; use used; get become; grow increase; high higher raise; low lower; old older; young younger; long
longer; other others; one's ones; ever every; even ever; still until; till until; among between; fun funny; farther
further; latter later; desert dessert; breath breathe; cloth clothes cloths; bath bathe; device devise; practice
practise; licence license; stationary stationery; compliment complement; role roll; site sight cite; steal steel; tail
tale; waist waste; wait weight;
"""


_SENSES = """
all every each both
some any
other others another
few fewer little less least
or
but however although though
so thus therefore
because
if
also too
very quite
someone somebody anyone anybody
something anything
everyone everybody
everything
"""


def sense(word: str) -> int | None:
    """Which of the small words that say something by themselves a word is like; None for a word of form alone.

    >>> sense("but") == sense("however"), sense("but") == sense("so"), sense("of")
    (True, False, None)
    """
    return _senses().get(word)


@cache
def _senses() -> dict[str, int]:
    return {word: number for number, line in enumerate(_SENSES.strip().splitlines()) for word in line.split()}


@cache
def small_words() -> dict[str, tuple[str, ...]]:
    """Small word -> the others of its classes, which may stand in its place."""
    table: dict[str, dict[str, None]] = {}
    for line in _CLASSES.strip().splitlines():
        words = line.split()
        for word in words:
            table.setdefault(word, {}).update({other: None for other in words if other != word})
    return {word: tuple(others) for word, others in table.items()}


@cache
def pairs() -> dict[str, tuple[str, ...]]:
    """Word -> those that learners and spell checkers mix up with it."""
    table: dict[str, dict[str, None]] = {}
    for group in _PAIRS.replace("\n", " ").split(";"):
        words = group.split()
        for word in words:
            table.setdefault(word, {}).update({other: None for other in words if other != word})
    return {word: tuple(others) for word, others in table.items()}
