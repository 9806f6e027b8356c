"""What the VM was given to boot with."""

import json
import os
import re
from typing import Any, Dict, NamedTuple, Optional, Tuple

CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")  # what may go into a header
REQUIRED = ("url", "instance", "secret", "work_directory")


class CannotStartError(Exception):
    """Something is wrong with the configuration or the VM; the text says what."""


class Config(NamedTuple):
    """What the VM was given to boot with; docs/vm-interface.md says what each key means. Paths are absolute."""

    url: str
    instance: str
    secret: str
    work_directory: str
    ca_file: Optional[str] = None
    pins: str = ""
    stop_file: str = ""
    shutdown_message: str = ""
    machine_features: str = ""
    job_features: str = ""
    state_directory: str = ""
    poweroff: Tuple[str, ...] = ()
    job_users: Tuple[str, ...] = ()
    logs: Tuple[str, ...] = ()


def read_config(path: str) -> Config:
    """Read and check the configuration. Raises CannotStartError."""
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            values = json.load(file)
    except (OSError, ValueError) as error:
        raise CannotStartError(f"cannot read {path}: {error}") from None
    if mode & 0o077:
        raise CannotStartError(f"{path} holds a secret but others may read it: chmod 600 {path}")
    if not isinstance(values, dict) or not set(REQUIRED) <= set(values) <= set(Config._fields):
        optional = ", ".join(key for key in Config._fields if key not in REQUIRED)
        raise CannotStartError(
            "{} must be an object with {} (optional: {})".format(path, ", ".join(REQUIRED), optional)
        )
    # An optional key that is null or empty is one that is not there.
    values = {key: value for key, value in values.items() if key in REQUIRED or value}
    values["instance"] = str(values["instance"])
    poweroff, job_users, logs = (_words(values.pop(key, []), key, path) for key in ("poweroff", "job_users", "logs"))
    return Config(**_checked(values, path), poweroff=poweroff, job_users=job_users, logs=logs)


def _words(value: Any, key: str, path: str) -> Tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise CannotStartError(f"{key} in {path} must be a list of words")
    return tuple(value)


def _checked(values: Dict[str, Any], path: str) -> Dict[str, Any]:
    for key, value in values.items():
        if not isinstance(value, str):
            raise CannotStartError(f"{key} in {path} must be a text")
    if not CREDENTIAL.fullmatch(values["secret"]):
        raise CannotStartError(f"{path}: secret must be visible ASCII")
    for key in sorted(set(values) - {"url", "instance", "secret", "ca_file", "pins"}):
        if not os.path.isabs(values[key]):
            raise CannotStartError(f"{path}: {key} must be absolute")
    work = values["work_directory"]
    places = {"stop_file": "stop", "shutdown_message": "shutdown_message"}
    places.update(machine_features="machinefeatures", job_features="jobfeatures")
    defaults = {key: os.path.join(work, name) for key, name in places.items()}
    defaults["state_directory"] = work
    return dict(defaults, **values)
