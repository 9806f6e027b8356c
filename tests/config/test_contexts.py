"""What images say of how VMs are contextualized."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.model.properties import PROPERTY
from vmdirac.config.contexts import merged
from vmdirac.config.images import ImageConfig
from vmdirac.model.context import Context, Script
from vmdirac.model.pod import Image

BASE = {"boot_image": "base", "flavor": "small"}
DIGEST = "a" * 64


def image(**values: Any) -> Image:
    return ImageConfig.model_validate({**BASE, **values}).image("image")


def script(url: str = "https://example.org/setup.sh", sha256: str = DIGEST) -> dict[str, str]:
    return {"url": url, "sha256": sha256}


def test_an_image_that_says_nothing_has_nothing_done() -> None:
    assert image().context == image().context_on("anywhere") == Context()


def test_all_of_it() -> None:
    found = image(
        template="lhcb.sh.j2",
        scripts_before=[script()],
        scripts_after=[script("http://example.org/2", "B" * 64)],
        cloud_config={"packages": ["cvmfs"]},
        cvmfs_repositories=["lhcb.cern.ch"],
        scratch_directory="/scratch",
        scratch_device="/dev/vdb",
        swap_mb=4096,
        unprivileged_jobs=True,
        block_metadata=False,
        block_mail=False,
    )
    assert found.context == Context(
        template="lhcb.sh.j2",
        scripts_before=(Script("https://example.org/setup.sh", DIGEST),),
        scripts_after=(Script("http://example.org/2", "b" * 64),),
        cloud_config={"packages": ["cvmfs"]},
        cvmfs_repositories=("lhcb.cern.ch",),
        scratch_directory="/scratch",
        scratch_device="/dev/vdb",
        swap_mb=4096,
        unprivileged_jobs=True,
        block_metadata=False,
        block_mail=False,
    )


def test_an_endpoints_entry_counts_more_and_its_cloud_config_is_merged() -> None:
    found = image(
        template="ours.j2",
        swap_mb=100,
        scripts_before=[script()],
        cloud_config={"packages": ["a"], "ntp": {"enabled": True, "servers": ["x"]}},
        endpoints={
            "A": {"swap_mb": 0, "scripts_before": [], "cloud_config": {"ntp": {"servers": ["y"]}, "timezone": "UTC"}},
            "B": {"flavor": "large"},
        },
    )
    assert found.context_on("A") == Context(
        template="ours.j2",
        cloud_config={"packages": ["a"], "ntp": {"enabled": True, "servers": ["y"]}, "timezone": "UTC"},
    )
    assert found.context_on("B") == found.context
    assert found.context.swap_mb == 100


JSON = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


@PROPERTY
@given(below=OBJECTS, above=OBJECTS)
def test_merged_has_all_keys_and_what_counts_more(below: dict[str, Any], above: dict[str, Any]) -> None:
    found = merged(below, above)
    assert found.keys() == below.keys() | above.keys()
    assert merged(found, above) == found
    assert merged({}, above) == above
    assert merged(below, {}) == below
    for key, value in above.items():
        if not isinstance(value, dict) or not isinstance(below.get(key), dict):
            assert found[key] == value


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"scripts_before": [{"url": "https://example.org/x"}]}, "sha256"),
        ({"scripts_before": [script(sha256="a" * 63)]}, "sha256"),
        ({"scripts_before": [script("ftp://example.org/x")]}, "http or https address"),
        ({"scripts_before": [script("https:///x")]}, "http or https address"),
        ({"scripts_before": [script("https://example.org/a b")]}, "http or https address"),
        ({"scripts_after": [script("https://me:secret@example.org/x")]}, "password"),
        ({"template": "../other.j2"}, "name of a file"),
        ({"cvmfs_repositories": ["a;b"]}, "cvmfs_repositories"),
        ({"scratch_directory": "scratch"}, "scratch_directory"),
        ({"scratch_directory": "/a/../b"}, "scratch_directory"),
        ({"scratch_directory": "/a b"}, "scratch_directory"),
        ({"scratch_device": "/dev/vdb"}, "scratch_device needs scratch_directory"),
        ({"endpoints": {"A": {"scratch_device": "/dev/vdb"}}}, "endpoints.A: scratch_device needs"),
        ({"swap_mb": -1}, "swap_mb"),
        ({"context_method": "hepix", "cloud_config": {}}, "'hepix' does nothing with cloud_config"),
        ({"context_method": "adhoc", "swap_mb": 1}, "'adhoc' does nothing with swap_mb"),
        (
            {"context_method": "adhoc", "endpoints": {"A": {"scripts_after": []}}},
            "endpoints.A: context_method 'adhoc' does nothing with scripts_after",
        ),
    ],
)
def test_what_cannot_be_done(values: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        image(**values)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        image(scripts_after=[script("https://me:hidden-treasure@example.org/x")])
    assert all("hidden-treasure" not in error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize("method", ["cloudinit", "hepix", "amiconfig", "adhoc"])
def test_methods(method: str) -> None:
    assert image(context_method=method).context_method == method


def test_whatever_changes_in_it_changes_the_revision() -> None:
    revisions = {
        image(**values).revision
        for values in ({}, {"swap_mb": 1}, {"cloud_config": {"a": 1}}, {"endpoints": {"A": {"swap_mb": 1}}})
    }
    assert len(revisions) == 4
