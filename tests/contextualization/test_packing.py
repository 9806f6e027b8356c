"""User data fits: readable, compressed, or as a stub; and the secret can always be put in."""

import base64
import email
import email.message
import gzip
import hashlib
import random
import tempfile
from dataclasses import astuple
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.contextualization import shell
from tests.contextualization.values import ANY_TEXT
from tests.model.properties import PROPERTY
from vmdirac.config.settings import SecretKey, templates_folder
from vmdirac.contextualization import packing
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER, bootstrap_secret
from vmdirac.contextualization.user_data import AgentBoot, TooLargeError, UserDataTemplates
from vmdirac.model.context import Context

pytestmark = pytest.mark.slow

SECRET = bootstrap_secret(SecretKey(b"k" * 32), "token")
NOISE = "".join(random.Random(0).choices("0123456789abcdef", k=30_000))
"""Compresses to half of it."""


def boot(**fields: object) -> AgentBoot:
    return AgentBoot("https://airflow.example.org/vmdirac", 7, "0" * 64, **fields)  # type: ignore[arg-type]


@pytest.fixture
def templates(tmp_path_factory: pytest.TempPathFactory) -> UserDataTemplates:
    """Ours, and two that are large: one of them can be compressed."""
    folder = tmp_path_factory.mktemp("templates")
    for name, text in (("padded.j2", "x" * 30_000), ("noisy.j2", NOISE)):
        block = "{% block before %}: " + text + "\n{% endblock %}"
        (folder / name).write_text('{% extends "cloudinit.sh.j2" %}' + block)
    return UserDataTemplates(folder)


def parts(document: str) -> list[email.message.Message]:
    message = email.message_from_string(document)
    assert message.is_multipart()
    return [part for part in message.walk() if not part.is_multipart()]


def content(part: email.message.Message) -> bytes:
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return gzip.decompress(payload) if part.get_content_type() == "application/gzip" else payload


def test_what_fits_is_left_readable(templates: UserDataTemplates) -> None:
    found = templates.fitted("cloudinit", boot(), 16 * 1024)
    assert (found.text, found.rest) == (templates.render("cloudinit", boot()), "")
    assert "run-agent" in found.text


@pytest.mark.parametrize("method", ["cloudinit", "ssh", "hepix", "amiconfig"])
def test_compressed_it_does_the_same(method: str, templates: UserDataTemplates, tmp_path: Path) -> None:
    largest = packing.size(templates.render(method, boot())) - 1
    found = templates.fitted(method, boot(cvmfs_proxy="DIRECT"), largest)
    assert found.rest == ""
    assert "VMDIRAC_PACKED" in found.text
    assert found.text.count(PLACEHOLDER) == 1
    then = ("var/lib/hepix/context/epilog.sh",) if method == "hepix" else ()
    ran = shell.after(shell.run(found.text.replace(PLACEHOLDER, SECRET), tmp_path, then=then), "agent")
    assert ran.agent_config["secret"] == SECRET
    assert ran.order == ["fetch vmdirac_agent.py", "agent"]
    assert ran.agent["environment"]["CVMFS_HTTP_PROXY"] == "DIRECT"


def test_a_large_template_is_compressed(templates: UserDataTemplates) -> None:
    context = Context(template="padded.j2")
    assert len(templates.render("cloudinit", boot(context=context))) > 30_000
    found = templates.fitted("cloudinit", boot(context=context), 16 * 1024)
    assert (found.rest, len(found.text) < 8_000) == ("", True)


def test_what_does_not_fit_compressed_is_left_with_the_manager(templates: UserDataTemplates) -> None:
    context = Context(template="noisy.j2")
    found = templates.fitted("cloudinit", boot(context=context), 16 * 1024)
    assert NOISE in found.rest
    assert PLACEHOLDER not in found.rest
    assert found.text.count(PLACEHOLDER) == 1
    assert len(found.text) < 4_000
    digest = hashlib.sha256(found.rest.encode()).hexdigest()
    assert f'"$python" fetch.py /vm/v1/instances/7/context {digest} rest.sh\n. ./rest.sh\n' in found.text
    # Where more fits it is not: a VM that needs nothing from elsewhere boots also while the manager is down.
    assert templates.fitted("cloudinit", boot(context=context), 49_149).rest == ""


def test_the_stub_and_what_it_fetches_are_the_whole(templates: UserDataTemplates) -> None:
    """What ``fetch.py`` would do is done by hand."""
    context = Context(template="noisy.j2")
    found = templates.fitted("cloudinit", boot(context=context), 16 * 1024)
    head, _, tail = found.text.partition('"$python" fetch.py /vm/v1/instances/')
    whole = head + found.rest + tail.partition(". ./rest.sh\n")[2]
    assert whole == templates.render("cloudinit", boot(context=context))


def test_what_fits_in_no_way_is_said_with_what_is_large(templates: UserDataTemplates) -> None:
    with pytest.raises(TooLargeError, match=r"takes 16384.*vm_ca_file \(30000 bytes\)"):
        templates.fitted("cloudinit", boot(ca=NOISE), 16 * 1024)


def test_a_template_of_ones_own_without_marks_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "cloudinit.sh.j2").write_text("#!/bin/sh\n: {{ agent_config | shell }}\n: " + "x" * 20_000)
    with pytest.raises(TooLargeError, match="20"):
        UserDataTemplates(tmp_path).fitted("cloudinit", boot(), 16 * 1024)


@pytest.mark.parametrize("method", ["cloudinit", "hepix"])
@pytest.mark.parametrize("template", ["", "noisy.j2"])
def test_whether_it_fits_does_not_depend_on_the_instance(
    method: str, template: str, templates: UserDataTemplates
) -> None:
    """A decision that was made for one must hold for the one that gets the row."""

    def boot_of(instance: int) -> AgentBoot:
        return AgentBoot("https://airflow.example.org/vmdirac", instance, "0" * 64, context=Context(template=template))

    def packed(instance: int, largest: int) -> tuple[bool, bool]:
        text, rest = astuple(templates.fitted(method, boot_of(instance), largest))
        assert len(text.replace(PLACEHOLDER, SECRET)) <= largest
        return "VMDIRAC_PACKED" in text, bool(rest)

    readable = len(templates.render(method, boot_of(1)).replace(PLACEHOLDER, SECRET))
    # About the size of it only the length of the number could make a difference.
    for largest in range(readable - 3, readable + 60):
        assert len({packed(instance, largest) for instance in (1, 77, packing.LARGEST_INSTANCE)}) == 1
    assert packed(1, readable + 60) == (False, False) != packed(1, readable)


@pytest.mark.parametrize("compress", [False, True])
def test_cloud_config_comes_beside_the_script(compress: bool, templates: UserDataTemplates, tmp_path: Path) -> None:
    meant = {"packages": ["cvmfs"], "write_files": [{"path": "/x", "content": "é\n" * 3000}]}
    context = Context(cloud_config=meant)
    found = templates.fitted("cloudinit", boot(context=context), 8_000 if compress else None)
    settings, script = parts(found.text.replace(PLACEHOLDER, SECRET))
    assert settings.get_content_type() == ("application/gzip" if compress else "text/cloud-config")
    assert content(settings).startswith(b"#cloud-config\n")
    assert yaml.safe_load(content(settings)) == meant
    assert script.get_content_type() == "text/x-shellscript"
    ran = shell.run(content(script).decode(), tmp_path)
    assert ran.agent_config["secret"] == SECRET
    assert found.text.count(PLACEHOLDER) == 1


@pytest.mark.slow
@PROPERTY
@given(text=ANY_TEXT, proxy=ANY_TEXT.filter(bool), key=ANY_TEXT, nested=st.booleans())
def test_whatever_is_configured_comes_through_mime(text: str, proxy: str, key: str, nested: bool) -> None:
    meant = {key: {"inner": [text]} if nested else text}
    ours = UserDataTemplates(templates_folder())
    document = ours.render("cloudinit", boot(context=Context(cloud_config=meant), cvmfs_proxy=proxy))
    settings, script = parts(document)
    assert yaml.safe_load(content(settings)) == meant
    with tempfile.TemporaryDirectory() as name:
        ran = shell.run(content(script).decode(), Path(name))
    assert ran.agent["environment"]["CVMFS_HTTP_PROXY"] == proxy


def test_it_is_the_same_whenever_it_is_rendered(templates: UserDataTemplates, monkeypatch: pytest.MonkeyPatch) -> None:
    """gzip would write the time into it."""
    one = boot(context=Context(cloud_config={"packages": ["x"]}, template="padded.j2"))
    first = templates.fitted("cloudinit", one, 16 * 1024)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert templates.fitted("cloudinit", one, 16 * 1024) == first
    (settings, _) = parts(first.text)
    payload = settings.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload[4:8] == b"\0\0\0\0"
    assert base64.b64encode(payload).decode()[:20] in first.text


def test_a_cloud_config_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cloud-config.yaml.j2").write_text("#cloud-config\n- a list\n")
    with pytest.raises(ValueError, match="mapping"):
        UserDataTemplates(tmp_path).render("cloudinit", boot())
