"""The filters: any value comes out as itself, and as nothing else."""

import configparser
import shlex
import subprocess
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.contextualization.values import ANY_TEXT, HOSTILE
from tests.model.properties import PROPERTY
from vmdirac.contextualization.filters import UnfitValueError, ini, shell, to_yaml, ucernvm


@PROPERTY
@given(words=st.lists(ANY_TEXT, min_size=1, max_size=5))
@example(words=HOSTILE)
def test_the_shell_gets_each_text_as_one_word(words: list[str]) -> None:
    command = f"printf '%s\\0' {' '.join(shell(word) for word in words)}"
    said = subprocess.run(["sh", "-c", command], capture_output=True, check=True, env={}).stdout
    assert said.decode().split("\0")[:-1] == words


@PROPERTY
@given(text=ANY_TEXT)
def test_quoted_twice_it_is_a_text_for_another_shell(text: str) -> None:
    command = f"sh -c {shell(f'printf %s {shell(text)}')}"
    said = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
    assert said.decode() == text


def test_what_no_command_line_holds_is_refused() -> None:
    with pytest.raises(UnfitValueError, match="NUL"):
        shell("a\x00b")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=20,
)


@PROPERTY
@given(value=JSON)
@example(value={text: [text, {text: text}] for text in HOSTILE})
def test_yaml_reads_what_was_written(value: Any) -> None:
    written = to_yaml(value)
    assert yaml.safe_load(written) == value
    assert written.isascii()


@PROPERTY
@given(value=JSON)
def test_yaml_can_be_a_part_of_a_document(value: Any) -> None:
    written = "#cloud-config\nbefore: 1\n" + to_yaml({"value": value})
    assert yaml.safe_load(written) == {"before": 1, "value": value}


def test_a_value_at_two_places_is_written_twice() -> None:
    value = ["x"]
    assert "&" not in to_yaml([value, value])


@PROPERTY
@given(text=ANY_TEXT)
@example(text="http://a:3128|http://b:3128;DIRECT")
def test_a_line_of_amiconfig_says_what_was_meant_or_is_refused(text: str) -> None:
    try:
        line = f"proxy={ini(text)}"
    except UnfitValueError:
        return
    parser = configparser.ConfigParser()
    parser.read_string(f"[cernvm]\n{line}\n")
    assert dict(parser["cernvm"]) == {"proxy": text}
    assert not set(text) & set(" \t\r\n'\"`$\\()<>&#!*?{}~;|")


@PROPERTY
@given(text=ANY_TEXT)
@example(text="http://a:3128|http://b:3128;DIRECT")
@example(text="a; touch broken")
def test_a_line_of_the_boot_loaders_is_one_value_to_a_shell_or_is_refused(text: str) -> None:
    """CernVM puts it behind a name, and has a shell read that."""
    try:
        line = f"_UCONTEXT_CVMFS_HTTP_PROXY={ucernvm(text)}"
    except UnfitValueError:
        return
    assert shlex.split(line) == [f"_UCONTEXT_CVMFS_HTTP_PROXY={text}"]
    assert not set(text) & set("\t\r\n'\"`$\\")


def test_a_list_of_proxies_is_no_value_of_amiconfigs() -> None:
    with pytest.raises(UnfitValueError, match="amiconfig"):
        ini("http://a:3128|http://b:3128;DIRECT")
    assert ucernvm("http://a:3128|http://b:3128;DIRECT") == '"http://a:3128|http://b:3128;DIRECT"'
