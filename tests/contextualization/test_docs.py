"""The examples of docs/contextualization.md are what they say."""

import json
import re
from pathlib import Path

from tests.servers.airflow_environment import CHECKOUT
from vmdirac.config.images import ImageConfig
from vmdirac.config.settings import packaged_templates_folder
from vmdirac.contextualization.user_data import AgentBoot, UserDataTemplates
from vmdirac.model.context import Context

TEXT = (CHECKOUT / "docs" / "contextualization.md").read_text()
SQUIDS = "http://squid1.example.org:3128|http://squid2.example.org:3128;DIRECT"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def boot(context: Context, cvmfs_proxy: str = SQUIDS) -> AgentBoot:
    return AgentBoot("https://airflow.example.org/vmdirac", 7, "0" * 64, cvmfs_proxy, context=context)


def test_images_can_be_configured_so() -> None:
    images = [(name, values) for text in blocks("json") for name, values in json.loads(text).items()]
    assert [name for name, _ in images] == ["worker", "cernvm"]
    templates = UserDataTemplates(packaged_templates_folder())
    for name, values in images:
        image = ImageConfig.model_validate(values).image(name)
        assert templates.render(image.context_method, boot(image.context))


def test_own_templates_can_be_written_so(tmp_path: Path) -> None:
    cvmfs, branch = blocks("jinja")
    (tmp_path / "cvmfs.j2").write_text(cvmfs)
    (tmp_path / "branch.j2").write_text(branch)
    templates = UserDataTemplates(tmp_path)
    assert "CVMFS_QUOTA_LIMIT=" in templates.render("cloudinit", boot(Context(template="cvmfs.j2")))
    rendered = templates.render("amiconfig", boot(Context(template="branch.j2")))
    assert f'cvmfs_http_proxy="{SQUIDS}"\n\ncvmfs_branch=cernvm-sl7.cern.ch\n[ucernvm-end]' in rendered


def test_cernvms_user_data_ends_so() -> None:
    (shown,) = blocks("ini")
    context = Context(cvmfs_repositories=("lhcb.cern.ch", "grid.cern.ch"))
    rendered = UserDataTemplates(packaged_templates_folder()).render("amiconfig", boot(context))
    assert rendered.rstrip("\n").endswith(shown.rstrip("\n"))


def test_all_blocks_are_named() -> None:
    ours = {
        name
        for path in packaged_templates_folder().iterdir()
        for name in re.findall(r"{% block (\w+)", path.read_text())
    }
    assert {name for name in ours if f"`{name}`" not in TEXT} == set()
