"""Roles: who does what to whom, by the order of words around a verb that both texts share."""

from __future__ import annotations

import pytest

from objectives import Roles
from objectives.roles import strangers, swapped

PAID = "The landlord paid the tenant 200 dollars."


@pytest.mark.parametrize(
    ("text", "source", "kept"),
    [
        ("The tenant paid the landlord 200 dollars.", PAID, False),
        ("The tenant was paid 200 dollars by the landlord.", PAID, True),
        ("The landlord was paid 200 dollars by the tenant.", PAID, False),
        ("The tenant paid them 200 dollars.", PAID, False),
        ("The tenant was paid 200 dollars.", PAID, True),
        ("The landlord was paid 200 dollars.", PAID, False),
        ("The landlord gave the tenant 200 dollars.", PAID, True),
        ("The cat was chasing the dog.", "The dog chased the cat.", False),
        ("The students were criticised by the teacher.", "The teacher was criticised by the students.", False),
        ("The students criticised the teacher.", "The teacher was criticised by the students.", True),
        ("Peter sold the house to Maria.", "Maria sold the house to Peter.", False),
        ("Maria sold Peter the house.", "Maria sold the house to Peter.", True),
        ("In the final, Germany beat Brazil.", "Germany beat Brazil in the final.", True),
        ("The cat was chased through the garden.", "The dog chased the cat through the garden.", True),
        ("The bank is going to sue the company.", "The bank will sue the company.", True),
        ("On Friday the board met the mayor.", "The board met the mayor on Friday.", True),
    ],
)
def test_swapped(text: str, source: str, kept: bool) -> None:
    assert (swapped(text, source) == 0) == kept


def test_strangers() -> None:
    assert strangers("Nobody told you.", "Nobody told me.") == 1
    assert strangers("Alice lent Bob his car.", "Alice lent Bob her car.") == 1
    assert strangers("How can you learn it?", "How do I learn it?") == 0
    assert strangers("I've been there.", "I have been there.") == 0


def test_no_sources() -> None:
    with pytest.raises(ValueError, match="sources is empty"):
        Roles([])
