"""Which jobs an offer can serve: each rule of DIRAC's task queues, and what must hold for all of them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import PROPERTY
from vmdirac.model.requirements import ANY, Offer, Requirements
from vmdirac.policy.matching import Mismatch, jobs_that_fit, matches, mismatch

JOB = Requirements(cpu_time=100)
VM = Offer(cpu_time=100, site="cern")

RULES = [
    (Mismatch.CPU_TIME, {"cpu_time": 100}, {"cpu_time": 100}, True),
    (Mismatch.CPU_TIME, {"cpu_time": 101}, {"cpu_time": 100}, False),
    (Mismatch.PROCESSORS, {"processors": 2}, {"processors": 2}, True),
    (Mismatch.PROCESSORS, {"processors": 2}, {"processors": 1}, False),
    (Mismatch.MEMORY, {"memory_mb": 512}, {"memory_mb": 512}, True),
    (Mismatch.MEMORY, {"memory_mb": 513}, {"memory_mb": 512}, False),
    # An offer of unknown memory is not checked.
    (Mismatch.MEMORY, {"memory_mb": 10**6}, {"memory_mb": 0}, True),
    # A multi-value field: no wish, a value in common, or an offer of anything.
    (Mismatch.SITE, {}, {"site": "cern"}, True),
    (Mismatch.SITE, {"sites": ("cern", "desy")}, {"site": "cern"}, True),
    (Mismatch.SITE, {"sites": ("desy",)}, {"site": "cern"}, False),
    (Mismatch.SITE, {"sites": ("desy",)}, {"site": ANY}, True),
    (Mismatch.BANNED_SITE, {"banned_sites": ("cern",)}, {"site": "cern"}, False),
    (Mismatch.BANNED_SITE, {"banned_sites": ("desy",)}, {"site": "cern"}, True),
    (Mismatch.BANNED_SITE, {"sites": ("cern",), "banned_sites": ("cern",)}, {"site": "cern"}, False),
    (Mismatch.PLATFORM, {}, {"platforms": ("el9",)}, True),
    (Mismatch.PLATFORM, {"platforms": ("el8", "el9")}, {"platforms": ("el9", "el10")}, True),
    (Mismatch.PLATFORM, {"platforms": ("el8",)}, {"platforms": ("el9",)}, False),
    (Mismatch.PLATFORM, {"platforms": ("el8",)}, {"platforms": (ANY,)}, True),
    (Mismatch.PLATFORM, {"platforms": ("el8",)}, {"platforms": ()}, True),
    (Mismatch.SUBMIT_POOL, {"submit_pools": ("a",)}, {"submit_pools": ("a", "b")}, True),
    (Mismatch.SUBMIT_POOL, {"submit_pools": ("c",)}, {"submit_pools": ("a", "b")}, False),
    (Mismatch.SUBMIT_POOL, {"submit_pools": ("c",)}, {"submit_pools": (ANY,)}, True),
    (Mismatch.SUBMIT_POOL, {"submit_pools": ("c",)}, {"submit_pools": ()}, True),
    # The owner's group is one value: it is among those offered, or anybody's is served.
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ("lhcb", "atlas")}, True),
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ("lhcb",)}, False),
    (Mismatch.OWNER_GROUP, {"owner_group": ""}, {"owner_groups": ("lhcb",)}, False),
    (Mismatch.OWNER_GROUP, {"owner_group": "atlas"}, {"owner_groups": ()}, True),
    # All tags of the job must be offered; offering none serves only jobs without.
    (Mismatch.TAGS, {"tags": ("gpu",)}, {"tags": ("gpu", "ssd")}, True),
    (Mismatch.TAGS, {"tags": ("gpu", "ssd")}, {"tags": ("gpu",)}, False),
    (Mismatch.TAGS, {"tags": ("gpu",)}, {"tags": ()}, False),
    (Mismatch.TAGS, {"tags": ()}, {"tags": ("gpu",)}, True),
    (Mismatch.REQUIRED_TAGS, {"tags": ("gpu",)}, {"tags": ("gpu",), "required_tags": ("gpu",)}, True),
    (Mismatch.REQUIRED_TAGS, {"tags": ()}, {"tags": ("gpu",), "required_tags": ("gpu",)}, False),
    (Mismatch.REQUIRED_TAGS, {"tags": ("gpu",)}, {"tags": ("gpu", "x"), "required_tags": ("gpu", "x")}, False),
]


@pytest.mark.parametrize(("rule", "needs", "offers", "fits"), RULES)
def test_each_rule(rule: Mismatch, needs: dict[str, object], offers: dict[str, object], *, fits: bool) -> None:
    found = mismatch(replace(JOB, **needs), replace(VM, **offers))  # type: ignore[arg-type]
    assert found == (None if fits else rule)


def test_every_rule_is_in_the_table() -> None:
    assert {rule for rule, _, _, fits in RULES if not fits} == set(Mismatch)


WORD = st.sampled_from(["a", "b", "c", ANY])
WORDS = st.lists(WORD, max_size=3).map(tuple)
SMALL = st.integers(1, 4)

NEEDS = st.builds(
    Requirements,
    cpu_time=SMALL,
    processors=SMALL,
    memory_mb=st.integers(0, 4),
    sites=WORDS,
    banned_sites=WORDS,
    platforms=WORDS,
    tags=WORDS,
    owner_group=WORD,
    submit_pools=WORDS,
)
# Offers that may serve the job below them: where nothing matched, nothing could be lost.
OFFERS = st.builds(
    Offer,
    cpu_time=st.integers(2, 4),
    processors=st.integers(2, 4),
    memory_mb=st.integers(0, 4),
    site=WORD,
    platforms=WORDS,
    tags=WORDS,
    required_tags=st.lists(WORD, max_size=1).map(tuple),
    owner_groups=WORDS,
    submit_pools=WORDS,
)


def widened(offer: Offer, kind: str, by: int, word: str) -> Offer:
    """The offer with one more of something, or one demand less."""
    match kind:
        case "cpu_time" | "processors":
            return replace(offer, **{kind: getattr(offer, kind) + by})
        case "memory_mb":
            # 0 is unknown, which is not checked: more than any number.
            return replace(offer, memory_mb=offer.memory_mb + by if offer.memory_mb else 0)
        case "tags":
            return replace(offer, tags=(*offer.tags, word))
        case "required_tags":
            return replace(offer, required_tags=offer.required_tags[1:])
        case _:
            values = getattr(offer, kind)
            return replace(offer, **{kind: (*values, word) if values else ()})  # type: ignore[arg-type]


WIDER = ["cpu_time", "processors", "memory_mb", "tags", "required_tags", "platforms", "owner_groups", "submit_pools"]


@PROPERTY
@given(needs=NEEDS, offer=OFFERS, kind=st.sampled_from(WIDER), by=SMALL, word=WORD)
def test_a_wider_offer_never_loses_a_match(needs: Requirements, offer: Offer, kind: str, by: int, word: str) -> None:
    wider = widened(offer, kind, by, word)
    assert matches(needs, wider) or not matches(needs, offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_banned_always_wins(needs: Requirements, offer: Offer) -> None:
    assert not matches(replace(needs, banned_sites=(*needs.banned_sites, offer.site)), offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_what_matches_fits_into_an_empty_vm(needs: Requirements, offer: Offer) -> None:
    if matches(needs, offer):
        assert jobs_that_fit(needs, offer.processors, offer.memory_mb or None) >= 1


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_the_order_of_lists_does_not_matter(needs: Requirements, offer: Offer) -> None:
    turned = replace(
        offer,
        platforms=offer.platforms[::-1],
        tags=offer.tags[::-1],
        owner_groups=offer.owner_groups[::-1],
        submit_pools=offer.submit_pools[::-1],
    )
    assert mismatch(needs.normalized(), turned) == mismatch(needs, offer)


@pytest.mark.parametrize(
    ("processors_needed", "memory_needed", "processors", "memory", "jobs"),
    [
        (1, 0, 4, None, 4),
        (3, 0, 4, None, 1),
        (5, 0, 4, None, 0),
        (1, 0, 4, 0, 4),  # a job without a wish takes what memory there is
        (1, 1000, 4, None, 4),
        (1, 1000, 4, 2500, 2),
        (2, 1000, 4, 9000, 2),
        (1, 1000, 4, 999, 0),
        (0, 0, 4, None, 4),  # every job has a processor
    ],
)
def test_jobs_side_by_side(
    processors_needed: int, memory_needed: int, processors: int, memory: int | None, jobs: int
) -> None:
    needs = Requirements(cpu_time=1, processors=processors_needed, memory_mb=memory_needed)
    assert jobs_that_fit(needs, processors, memory) == jobs
