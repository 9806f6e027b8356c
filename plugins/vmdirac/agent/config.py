"""What the VM was given to boot with."""

import json
import os
import re
from typing import NamedTuple, Optional

CREDENTIAL = re.compile(r"[\x21-\x7e]{1,4096}")  # what may go into a header


class CannotStartError(Exception):
    """Something is wrong with the configuration or the VM; the text says what."""


class Config(NamedTuple):
    """What the VM was given to boot with."""

    url: str
    instance: str
    secret: str
    work_directory: str
    ca_file: Optional[str]


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
    if not isinstance(values, dict) or {"ca_file", *values} != set(Config._fields):
        raise CannotStartError("{} must be an object with {}".format(path, ", ".join(Config._fields)))
    values = dict(values, instance=str(values["instance"]), ca_file=values.get("ca_file") or "")
    for key, value in values.items():
        if not isinstance(value, str):
            raise CannotStartError(f"{key} in {path} must be a text")
    if not CREDENTIAL.fullmatch(values["secret"]) or not os.path.isabs(values["work_directory"]):
        raise CannotStartError(f"{path}: secret must be visible ASCII, work_directory absolute")
    return Config(**dict(values, ca_file=values["ca_file"] or None))
