"""What must hold for all rules of matching together."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.model.properties import MANY, PROPERTY
from vmdirac.model.requirements import ANY, Offer, Requirements
from vmdirac.policy.matching import is_any, jobs_that_fit, matches, mismatch

WORD = st.sampled_from(["a", "b", "c", ANY])
NAME = st.sampled_from(["a", "b", "c"])
WORDS = st.lists(WORD, max_size=3).map(tuple)
NAMES = st.lists(NAME, max_size=2).map(tuple)
ONE_NAME = st.lists(NAME, max_size=1).map(tuple)
SMALL = st.integers(1, 4)

NEEDS = st.builds(
    Requirements,
    cpu_time=SMALL,
    processors=SMALL,
    memory_mb=st.integers(0, 4),
    whole_node=st.booleans(),
    owner=NAME,
    owner_group=NAME,
    setup=st.sampled_from(["", "a"]),
    **dict.fromkeys(("sites", "banned_sites", "platforms", "tags", "submit_pools", "grid_ces"), NAMES),
    **dict.fromkeys(("job_types", "pilot_types", "grid_middlewares"), NAMES),
)
# Offers that may serve the job below them: where nothing matched, nothing could be lost.
WISHES = ("platforms", "tags", "owner_groups", "submit_pools", "owners", "grid_ces", "job_types", "pilot_types")
BANS = ("banned_sites", "banned_grid_ces", "banned_platforms", "banned_job_types", "banned_tags")
OFFERS = st.builds(
    Offer,
    cpu_time=st.integers(2, 4),
    processors=st.integers(2, 4),
    memory_mb=st.integers(0, 4),
    max_ram=st.sampled_from([0, 0, 3]),
    whole_node=st.sampled_from([True, True, False]),
    max_lifetime=st.sampled_from([0, 0, 2]),
    site=WORD,
    setup=st.sampled_from(["", "", "a", ANY]),
    required_tags=ONE_NAME,
    grid_middlewares=WORDS,
    **dict.fromkeys(WISHES, WORDS),
    **dict.fromkeys(BANS, ONE_NAME),
)


def widened(offer: Offer, kind: str, by: int, word: str) -> Offer:
    """The offer with one more of something, or one demand less."""
    match kind:
        case "cpu_time":
            return replace(offer, cpu_time=offer.cpu_time + by)
        case "memory_mb" | "max_lifetime" | "max_ram":
            # 0 is without an end or unknown, which is not checked: more than any number.
            value = getattr(offer, kind)
            return replace(offer, **{str(kind): value + by if value else 0})  # type: ignore[arg-type]
        case "whole_node":
            return replace(offer, whole_node=True)
        case "tags":
            return replace(offer, tags=(*offer.tags, word))
        case "required_tags" | "banned_sites" | "banned_grid_ces" | "banned_tags":
            return replace(offer, **{kind: getattr(offer, kind)[1:]})
        case _:
            values = getattr(offer, kind)
            return replace(offer, **{kind: (*values, word) if values else ()})  # type: ignore[arg-type]


WIDER = ["cpu_time", "memory_mb", "max_lifetime", "max_ram", "whole_node", "required_tags", *WISHES, *BANS[:2]]


@MANY
@given(needs=NEEDS, offer=OFFERS, kind=st.sampled_from(WIDER), by=SMALL, word=WORD)
def test_a_wider_offer_never_loses_a_match(needs: Requirements, offer: Offer, kind: str, by: int, word: str) -> None:
    wider = widened(offer, kind, by, word)
    assert matches(needs, wider) or not matches(needs, offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS, word=WORD)
def test_a_tag_more_never_loses_a_match(needs: Requirements, offer: Offer, word: str) -> None:
    fits = replace(needs, tags=(*offer.required_tags, *offer.tags)[:2])
    assert matches(fits, replace(offer, tags=(*offer.tags, word))) or not matches(fits, offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS, by=SMALL)
def test_a_processor_more_never_loses_a_match_but_to_the_life_of_the_vm(
    needs: Requirements, offer: Offer, by: int
) -> None:
    """A job that wants the whole VM even ends sooner on it."""
    assert matches(needs, replace(offer, processors=offer.processors + by)) or not matches(needs, offer)


@MANY
@given(needs=NEEDS, offer=OFFERS, kind=st.sampled_from(BANS), word=NAME)
def test_a_ban_more_never_gains_a_match(needs: Requirements, offer: Offer, kind: str, word: str) -> None:
    """But for "any", which switches the bans of its field off as it does with all others."""
    stricter = replace(offer, **{kind: (*getattr(offer, kind), word)})  # type: ignore[arg-type]
    assert matches(needs, offer) or not matches(needs, stricter)
    banned = replace(needs, banned_sites=(*needs.banned_sites, word))
    assert matches(needs, offer) or not matches(banned, offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_a_banned_site_always_wins(needs: Requirements, offer: Offer) -> None:
    banned = replace(needs, banned_sites=(*needs.banned_sites, offer.site))
    assert not matches(banned, offer)
    assert not matches(replace(banned, sites=(offer.site,)), offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_what_an_offer_bans_never_matches(needs: Requirements, offer: Offer) -> None:
    for kind, named in zip(BANS, ("sites", "grid_ces", "platforms", "job_types", "tags"), strict=True):
        banned = getattr(offer, kind)
        if set(getattr(needs, named)) & set(banned) and not is_any(banned):
            assert not matches(needs, offer)


@PROPERTY
@given(needs=NEEDS, offer=OFFERS)
def test_what_matches_fits_into_an_empty_vm(needs: Requirements, offer: Offer) -> None:
    if matches(needs, offer):
        assert jobs_that_fit(needs, offer.processors, offer.memory_mb or None, offer.processors) >= 1


def turned(record: Any, chance: Any) -> Any:
    """The same with each of its lists in another order."""
    values_of = {item.name: getattr(record, item.name) for item in fields(record)}
    lists = {name: list(value) for name, value in values_of.items() if isinstance(value, tuple)}
    for values in lists.values():
        chance.shuffle(values)
    return replace(record, **{name: tuple(values) for name, values in lists.items()})


@PROPERTY
@given(needs=NEEDS, offer=OFFERS, chance=st.randoms(use_true_random=False))
def test_the_order_of_lists_does_not_matter(needs: Requirements, offer: Offer, chance: Any) -> None:
    assert mismatch(turned(needs, chance), turned(offer, chance)) == mismatch(needs, offer)
    assert mismatch(needs.normalized(), offer) == mismatch(needs, offer)
