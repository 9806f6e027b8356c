"""The Python packages of the tests' OpenStack, in a virtual environment of its own. Standard library only.

Its requirements and Airflow's don't fit together. It is made once for each set of requirements, outside of the
checkout: ``$XDG_CACHE_HOME/vmdirac-tests`` (by default ``~/.cache/vmdirac-tests``).
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("openstack_requirements.txt")
INSTALLER = "uv==0.13.9"
"""Several times faster than pip with so many packages, and it compiles them."""

STAMP = "complete"


def environment_directory(requirements: str | None = None) -> Path:
    """Where the environment is, or will be, for these requirements and this Python."""
    text = REQUIREMENTS.read_text() if requirements is None else requirements
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    fingerprint = hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "vmdirac-tests" / f"openstack-{fingerprint}"


def is_installed() -> bool:
    return (environment_directory() / STAMP).exists()


def install() -> None:
    """Make the environment, unless it is there; half of one is made anew.

    Raises:
        subprocess.CalledProcessError: the packages can't be installed (and it was said why).
    """
    directory = environment_directory()
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / "installing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_installed():
            return
        shutil.rmtree(directory, ignore_errors=True)
        # Nothing of ours is to be seen in there, and what is compiled now needn't be at each start.
        unwanted = {"PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}
        environment = {name: value for name, value in os.environ.items() if name not in unwanted}
        python = str(directory / "bin/python")

        def run(*command: str) -> None:
            subprocess.run(command, check=True, env=environment)

        run(_base_python(), "-m", "venv", str(directory))
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", INSTALLER)
        uv = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python, "--compile-bytecode"]
        try:
            run(*uv, "--requirement", str(REQUIREMENTS))
        except subprocess.CalledProcessError:
            # uv does not know pip's own configuration, such as the address of a mirror.
            run(python, "-m", "pip", "install", "--disable-pip-version-check", "--requirement", str(REQUIREMENTS))
        (directory / STAMP).touch()


def _base_python() -> str:
    """The Python that our own environment was made with; one made by ours would lead back into it."""
    return str(Path(sys._base_executable).resolve() if hasattr(sys, "_base_executable") else Path(sys.executable))
