"""The agent may have many files open, and what it starts as many as the agent was given."""

import resource
import subprocess
import sys

SCRIPT = """
import resource
from vmdirac.agent.open_files import ENOUGH, OpenFiles
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
limit = OpenFiles()
limit.raise_limit()
raised = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
limit.lower()
print(raised, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def raised_and_lowered(soft: int, hard: int) -> list[int]:
    """In a process of its own: nobody can raise a hard limit again."""
    script = SCRIPT.format(soft=soft, hard=hard)
    return [int(word) for word in subprocess.check_output([sys.executable, "-c", script], text=True).split()]


def test_it_is_raised_as_far_as_that_is_allowed_and_lowered_to_what_it_was() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 4096
    assert raised_and_lowered(1024, 4096) == [4096, 1024]


def test_a_higher_one_stays() -> None:
    assert raised_and_lowered(4096, 4096) == [4096, 4096]
