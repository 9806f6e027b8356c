"""The samples with anything missing, misspelt or wrong: an import never fails, tells all and no secrets."""

import copy
import json
from collections import Counter
from collections.abc import Iterator

import pytest
from diraccfg import CFG
from hypothesis import given
from hypothesis import strategies as st

from tests.cs_import.made import SAMPLES, SECRET, Tree, of_tree
from tests.cs_import.test_samples import reported
from tests.model.properties import MANY
from vmdirac.config.images import ImageConfig
from vmdirac.config.pods import PodConfig
from vmdirac.cs_import.report import render_report, without_credentials

pytestmark = pytest.mark.slow

VALUES = (
    "",
    "nouse",
    "-1",
    "0",
    "1e400",
    "many",
    "2026-99-99",
    "a,, b ,a",
    "proxy",
    "x" * 400,
    "http://me:hunter2@x.example/",
    "`|\u2028",
)

Damage = tuple[int, str]


def places(tree: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all sections and options."""
    for name, inner in tree.items():
        yield (*path, name)
        if isinstance(inner, dict):
            yield from places(inner, (*path, name))


def damaged(sample: str, damages: list[Damage]) -> Tree:
    """The sample with some of its places taken out (``-``), renamed (``+``) or, if options, changed."""
    tree: Tree = copy.deepcopy(CFG().loadFromFile(str(SAMPLES / sample)).getAsDict())
    for where, what in damages:
        found = list(places(tree))
        path = found[where % len(found)]
        holder = tree
        for name in path[:-1]:
            inner = holder[name]
            assert isinstance(inner, dict)
            holder = inner
        old = holder.pop(path[-1])
        if what == "+":
            holder[f"{path[-1]}X"] = old
        elif what != "-":
            holder[path[-1]] = what if isinstance(old, str) else old
    return tree


DAMAGE = st.tuples(st.integers(0, 10_000), st.sampled_from(["-", "+", *VALUES]))


@pytest.mark.parametrize("sample", ["v1.cfg", "v2.cfg"])
@MANY
@given(damages=st.lists(DAMAGE, max_size=12))
def test_whatever_is_wrong(sample: str, damages: list[Damage]) -> None:
    tree = damaged(sample, damages)
    # Another of VMDIRAC's sections is always there, or there might be nothing to import.
    tree["Operations"] = {"always": {"Cloud": {"BootType": "pilot"}}}
    made = of_tree(tree)
    report = render_report(made.outcome, made.scope, sample)

    assert reported(report) == Counter(option.path for option in made.scope.options())
    told = report + "".join(without_credentials(problem) for problem in made.problems())
    assert SECRET not in told
    assert "hunter2" not in told

    pods = {name: pod.fields for name, pod in made.outcome.pods.items()}
    images = {name: image.entry() for name, image in made.outcome.images.items()}
    assert SECRET not in json.dumps([pods, images])
    for fields in pods.values():
        PodConfig.model_validate(fields)
        image = ImageConfig.model_validate(images[fields["image"]])
        assert set(fields["endpoints"]) <= image.endpoints.keys() & made.outcome.endpoints.keys()
