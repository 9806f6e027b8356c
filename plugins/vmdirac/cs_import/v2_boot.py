"""How VMs of version 2 booted: ``BootType`` and ``HEPIX``, of a VM type, its endpoint, or a whole VO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vmdirac.cs_import.cfg_file import Option, Section
from vmdirac.cs_import.ledger import Ledger, Verdict

PILOT, CLOUDINIT, USER = "pilot", "cloudinit", "user"
HEPIX_METHOD: Final = "hepix"
USERS: Final = (
    "VMs of BootType user had no DIRAC, and logins for people; here they get the agent as all others do: for logins,"
    " set key_name of the connection, or users in cloud_config of the image"
)


def said_for_all(operations: Sequence[Section], ledger: Ledger) -> Sequence[Section]:
    """Those sections of whole VOs that say how VMs boot; none if they do not say the same."""
    by_vo = [
        [section for section in (cloud, *cloud.sections.values()) if {"BootType", "HEPIX"} & section.options.keys()]
        for cloud in operations
    ]
    saying = [sections for sections in by_vo if sections]
    if len({_said(sections) for sections in saying}) <= 1:
        return [section for sections in saying for section in sections]
    where = ", ".join(section.path for sections in saying for section in sections)
    ledger.note(f"{where}: how VMs boot is not the same for all VOs: set context_method of the images yourself")
    return []


def _said(sections: Sequence[Section]) -> tuple[frozenset[str], bool]:
    types = frozenset(option.value.strip() for option in _of("BootType", sections))
    return types, bool(_of("HEPIX", sections))


def context_method(sections: Sequence[Section], image: str, ledger: Ledger) -> str:
    """That of an image, and what became of the options that say it.

    :param sections: that may say it, the one that counts most first.
    """
    types = _of("BootType", sections)
    hepix = _of("HEPIX", sections)
    boot_type = types[0].value.strip() if types else PILOT
    method = HEPIX_METHOD if boot_type == PILOT and hepix else "cloudinit"
    if boot_type not in {PILOT, CLOUDINIT, USER}:
        ledger.problem(types[0], f"it must be {PILOT}, {CLOUDINIT} or {USER}; {image} boots by cloudinit")
    elif boot_type == USER:
        ledger.put(types[0], Verdict.CHANGED, f"image {image}: context_method cloudinit; {USERS}")
        ledger.note(f"image {image!r}: {USERS}")
    elif types:
        ledger.put(types[0], Verdict.TAKEN, f"image {image}: context_method")
    for option in hepix:
        if method == HEPIX_METHOD:
            ledger.put(option, Verdict.TAKEN, f"image {image}: context_method")
        else:
            ledger.put(option, Verdict.NO_EFFECT, f"it is for BootType {PILOT}, and this one is {boot_type}")
    return method


def _of(name: str, sections: Sequence[Section]) -> list[Option]:
    return [section.options[name] for section in sections if name in section.options]
