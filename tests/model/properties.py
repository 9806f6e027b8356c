"""How property tests run: no time limit for one example, for the machine may be slow; and not many of them."""

from hypothesis import settings

PROPERTY = settings(deadline=None, max_examples=30)
MANY = settings(deadline=None, max_examples=60)
"""For properties whose counterexamples are rare."""
