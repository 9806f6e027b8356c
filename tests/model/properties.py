"""How property tests run: no time limit for one example, for the machine may be slow; and not many of them."""

from hypothesis import settings

PROPERTY = settings(deadline=None, max_examples=40)
MANY = settings(deadline=None, max_examples=80)
"""For properties whose counterexamples are rare."""
