"""What an image says is done on its VMs: scripts, CVMFS, the pilot, by every method."""

import shlex
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.contextualization import shell
from tests.contextualization.values import ANY_TEXT, HOSTILE
from tests.model.properties import PROPERTY
from vmdirac.config.settings import templates_folder
from vmdirac.contextualization.bootstrap_secret import PLACEHOLDER
from vmdirac.contextualization.filters import UnfitValueError
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.model.context import Context, Script

pytestmark = pytest.mark.slow

TEMPLATES = UserDataTemplates(templates_folder())
DIGESTS = [letter * 64 for letter in "abc"]
CONTEXT = Context(
    scripts_before=(Script("https://a.example/1?x=1&y=2", DIGESTS[0]), Script("https://a.example/2", DIGESTS[1])),
    scripts_after=(Script("http://b.example/3", DIGESTS[2]),),
    cvmfs_repositories=("lhcb.cern.ch", "grid.cern.ch"),
)
PROXY = "http://a:3128|http://b:3128;DIRECT"
ORDER = [
    "fetch before-1",
    "run ./before-1",
    "fetch before-2",
    "run ./before-2",
    "fetch vmdirac_agent.py",
    "fetch after-1",
    "run ./after-1",
    "agent",
]


def boot(**fields: object) -> AgentBoot:
    given: dict[str, object] = {"cvmfs_proxy": PROXY, "context": CONTEXT, **fields}
    return AgentBoot("https://airflow.example.org/vmdirac", 7, "0" * 64, **given)  # type: ignore[arg-type]


def wait_for_agent(found: shell.Ran) -> shell.Ran:
    """The methods that start it in the background do not wait for it."""
    return shell.after(found, "agent")


HEPIX = ("var/lib/hepix/context/prolog.sh", "var/lib/hepix/context/epilog.sh")


@pytest.mark.parametrize(
    ("method", "then"),
    [
        ("cloudinit", ()),
        ("ssh", ()),
        ("amiconfig", ()),
        ("hepix", HEPIX),
        # The image has run its prolog before cloud-init gave it ours.
        ("hepix", HEPIX[1:]),
    ],
)
def test_all_is_done_in_its_order(method: str, then: tuple[str, ...], tmp_path: Path) -> None:
    found = wait_for_agent(shell.run(TEMPLATES.render(method, boot()), tmp_path, then=then))
    assert found.order == ORDER
    assert [what[:2] for what in found.fetched] == [
        ["https://a.example/1?x=1&y=2", DIGESTS[0]],
        ["https://a.example/2", DIGESTS[1]],
        [f"/vm/v1/agent/{'0' * 64}", "0" * 64],
        ["http://b.example/3", DIGESTS[2]],
    ]
    assert found.agent["environment"]["CVMFS_HTTP_PROXY"] == PROXY
    cvmfs = found.disk / "etc/cvmfs/default.local"
    assert cvmfs.read_text() == f"CVMFS_REPOSITORIES=lhcb.cern.ch,grid.cern.ch\nCVMFS_HTTP_PROXY='{PROXY}'\n"
    assert {note["umask"] for note in found.notes if "ran" in note} == {"0022"}
    # Its programs run as somebody else.
    assert (cvmfs.stat().st_mode & 0o777, cvmfs.parent.stat().st_mode & 0o777) == (0o644, 0o755)
    assert found.agent_config["secret"] == PLACEHOLDER


@pytest.mark.parametrize("name", shell.shells())
def test_all_is_done_by_each_shell(name: str, tmp_path: Path) -> None:
    """Debian's and Ubuntu's sh is dash, RHEL's is bash."""
    found = shell.run(TEMPLATES.render("cloudinit", boot()), tmp_path, shell=name)
    assert found.order == ORDER
    assert found.agent["environment"]["CVMFS_HTTP_PROXY"] == PROXY


@pytest.mark.parametrize("which", ["scripts_before", "scripts_after"])
def test_a_script_that_fails_ends_the_boot(which: str, tmp_path: Path) -> None:
    """A VM that is not as it was meant takes no jobs: it never calls in, and its boot deadline ends it."""
    context = replace(Context(), **{which: (Script("https://a.example/fails", DIGESTS[0]),)})  # type: ignore[arg-type]
    found = shell.run(TEMPLATES.render("cloudinit", boot(context=context)), tmp_path, status=3)
    assert "agent" not in found.order


def test_what_the_image_says_of_cvmfs_stays(tmp_path: Path) -> None:
    folder = tmp_path / "disk/etc/cvmfs"
    script = TEMPLATES.render("cloudinit", boot())
    # As if the image had it: written by what runs first.
    prepared = script.replace(
        "set -eu\n", f"set -eu\nmkdir -p {folder}\nprintf 'CVMFS_QUOTA_LIMIT=1\\n' > {folder}/default.local\n", 1
    )
    found = shell.run(prepared, tmp_path)
    assert (found.disk / "etc/cvmfs/default.local").read_text().startswith("CVMFS_QUOTA_LIMIT=1\nCVMFS_REPO")


def test_the_images_own_prolog_and_epilog_stay(tmp_path: Path) -> None:
    script = TEMPLATES.render("hepix", boot())
    own = "#!/bin/sh\\necho the image\\n"
    folder = tmp_path / "disk/var/lib/hepix/context"
    prepared = script.replace("set -eu\n", f"set -eu\nmkdir -p {folder}\nprintf '{own}' > {folder}/epilog.sh\n", 1)
    found = shell.run(prepared, tmp_path, then=HEPIX)
    assert found.output == "the image\n"
    assert wait_for_agent(found).order == ORDER


def test_at_a_reboot_hepix_only_starts_the_agent_again(tmp_path: Path) -> None:
    """The image runs both at each boot. Then the identity is where the agent has it, and its program may be newer."""
    found = shell.run(TEMPLATES.render("hepix", boot()), tmp_path, then=(*HEPIX, *HEPIX))
    assert shell.after(found, "agent", 2).order == [*ORDER, "agent"]
    for name in HEPIX:
        assert (found.disk / name).read_text().count("vmdirac") == 1
    assert found.agent_config["secret"] == PLACEHOLDER


@pytest.mark.parametrize("method", ["cloudinit", "ssh", "amiconfig", "hepix"])
def test_an_image_made_of_a_vm_starts_as_the_new_instance(method: str, tmp_path: Path) -> None:
    then = HEPIX if method == "hepix" else ()
    old = shell.run(TEMPLATES.render(method, boot()), tmp_path, then=then)
    state = old.disk / "vmdirac/state/session.json"
    state.touch()
    got = old.disk / "vmdirac/work/credentials/proxy"
    got.parent.mkdir()
    got.touch()
    (old.disk / "vmdirac/work/stop").touch()
    shell.run(TEMPLATES.render(method, boot()), tmp_path, then=then)
    assert state.exists(), "the same one"
    assert got.exists()
    assert shell.after(old, "agent", 2).order == [*ORDER, "agent"]
    new = shell.run(TEMPLATES.render(method, replace(boot(), instance=8)), tmp_path, then=then)
    assert not state.exists()
    assert list((old.disk / "vmdirac/work").iterdir()) == []
    assert shell.after(new, "agent", 3).order == [*ORDER, "agent", *ORDER]
    assert new.agent_config["instance"] == 8
    for name in then:
        assert (new.disk / name).read_text().count("vmdirac") == 1


@pytest.mark.parametrize("method", ["cloudinit", "ssh", "amiconfig", "hepix"])
def test_an_agent_does_not_start_in_another_machine(method: str, tmp_path: Path) -> None:
    """systemd starts it before the user data comes."""
    text = TEMPLATES.render(method, boot()).replace('[ -z "$root" ] && cat "$machine"', 'cat "$machine"')
    uuid = tmp_path / "uuid"
    uuid.write_text("the first\n")
    (tmp_path / "vm").mkdir()
    text = text.replace("/sys/class/dmi/id/product_uuid", str(uuid))
    found = wait_for_agent(shell.run(text, tmp_path / "vm", then=HEPIX if method == "hepix" else ()))
    start = found.disk / "vmdirac/run-agent"
    again = {"cwd": start.parent, "env": {"PATH": "/usr/bin:/bin", "VMDIRAC_VM_DIRECTORY": str(found.disk)}}
    start.write_text(start.read_text().replace("exec python3", "echo started: python3"))
    assert subprocess.check_output(["sh", str(start)], text=True, **again).startswith("started: ")  # type: ignore[call-overload]
    uuid.write_text("the second\n")
    assert subprocess.check_output(["sh", str(start)], text=True, **again) == "vmdirac: set up on another machine\n"  # type: ignore[call-overload]


def test_what_was_interrupted_can_be_done_again(tmp_path: Path) -> None:
    """Who the VM is stays there until all is set up."""
    text = TEMPLATES.render("hepix", boot())
    assert text.count("rm -f identity.json") == text.count("> is-set-up") == 2
    assert 'unlink("identity.json")' not in text


@pytest.mark.parametrize("method", ["cloudinit", "ssh", "amiconfig", "hepix"])
def test_run_again_the_script_sets_nothing_up_again(method: str, tmp_path: Path) -> None:
    then = HEPIX if method == "hepix" else ()
    found = shell.run(TEMPLATES.render(method, boot()), tmp_path, then=(*then, "../script", *then))
    assert shell.after(found, "agent", 2).order == [*ORDER, "agent"]
    assert (found.disk / "etc/cvmfs/default.local").read_text().count("CVMFS_HTTP_PROXY") == 1


@pytest.mark.slow
@PROPERTY
@given(words=st.lists(ANY_TEXT, max_size=4))
@example(words=HOSTILE)
def test_the_pilot_gets_its_arguments_as_they_are(words: list[str]) -> None:
    """It is started in the background, so what would be run is looked at."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        found = shell.run(
            TEMPLATES.render("hepix", boot(pilot_command=("sh", "-c", ":", *words), context=Context())),
            Path(name),
            then=HEPIX,
        )
        found = wait_for_agent(found)
        program = (found.disk / "vmdirac" / "run-pilot").read_bytes().decode()
    said = ["python3", "vmdirac_agent.py", "--pilot", "agent.json"]
    assert shlex.split(program.partition("exec ")[2]) == [*said, "sh", "-c", ":", *words]
    assert program.startswith("umask 022\nexport CVMFS_HTTP_PROXY=")


@pytest.mark.parametrize("method", ["cloudinit", "ssh"])
def test_the_pilot_runs_beside_the_agent(method: str, tmp_path: Path) -> None:
    found = shell.run(TEMPLATES.render(method, boot(pilot_command=("pilot", "it's"), context=Context())), tmp_path)
    found = wait_for_agent(shell.after(found, "pilot"))
    (said,) = (note for note in found.notes if "pilot" in note)
    assert (said["pilot"], said["proxy"]) == (["--pilot", "agent.json", "pilot", "it's"], PROXY)
    assert said["directory"] == str(found.disk / "vmdirac")
    assert found.agent["agent"] == ["vmdirac_agent.py", "agent.json"]
    assert said["parent"] != found.agent["pid"], "the agent ends children that are no jobs of its own"


class TestAmiconfig:
    def test_what_follows_the_script_is_for_amiconfig_and_the_boot_loader(self) -> None:
        script, _, rest = TEMPLATES.render("amiconfig", boot()).partition("\nexit 0\n")
        assert "[" in script
        assert rest.split() == [
            "[amiconfig]",
            "plugins=cernvm",
            "[cernvm]",
            "repositories=lhcb.cern.ch,grid.cern.ch",
            "[ucernvm-begin]",
            f'cvmfs_http_proxy="{PROXY}"',
            "[ucernvm-end]",
        ]

    def test_one_proxy_is_told_to_amiconfig_too(self) -> None:
        text = TEMPLATES.render("amiconfig", boot(cvmfs_proxy="http://a:3128"))
        assert "\nproxy=http://a:3128\n" in text
        assert '\ncvmfs_http_proxy="http://a:3128"\n' in text

    def test_what_they_would_take_for_something_else_is_refused(self) -> None:
        with pytest.raises(UnfitValueError, match="takes for something else"):
            TEMPLATES.render("amiconfig", boot(cvmfs_proxy="http://a:3128\nplugins=rpath"))

    def test_a_community_adds_plugins_of_its_own(self, tmp_path: Path) -> None:
        (tmp_path / "own.j2").write_text(
            '{% extends "amiconfig.sh.j2" %}{% block plugins %}cernvm condor{% endblock %}'
            "{% block sections %}{{ super() }}[condor]\nuid_domain=*\n{% endblock %}"
        )
        context = Context(template="own.j2")
        text = UserDataTemplates(tmp_path).render("amiconfig", boot(context=context))
        assert "plugins=cernvm condor\n" in text
        assert "[condor]\nuid_domain=*\n" in text
