"""``/Resources/VirtualMachines/Images`` of version 1."""

from __future__ import annotations

from collections.abc import Mapping

from vmdirac.config.settings import DEFAULT_SSH_CONNECTION
from vmdirac.cs_import.cfg_file import Option, Section
from vmdirac.cs_import.drivers import KEY_NAME, SECURITY_GROUPS
from vmdirac.cs_import.ledger import Ledger, Verdict
from vmdirac.cs_import.outcome import Image, Outcome, free_name
from vmdirac.cs_import.rules import idle, read_options, taken
from vmdirac.cs_import.values import number, words
from vmdirac.model.ssh import SSH

METHOD_OF = {
    "cloudinit": "cloudinit",
    SSH: SSH,
    "adhoc": "adhoc",
    "amiconfig": "amiconfig",
    "occi_opennebula": "hepix",
}
"""What VMDIRAC's context methods are here."""

CHANGED = {
    "adhoc": (
        "the image does everything itself, but what it talks to is another manager: its user data is one line of JSON"
        " that says where and as whom, and the program in it has to be the agent, or to speak as it does"
    ),
    "amiconfig": (
        "the file that ex_userdata names was all of the user data: here a script comes first, which starts the agent;"
        " put sections of amiconfig that are wanted into a template of your own"
    ),
    "occi_opennebula": (
        "its context came on a second disk, by HEPiX's scripts: here user data adds to prolog.sh and epilog.sh, so the"
        " image must run user data"
    ),
}
"""How those that are not what they were have changed."""

IMAGE = (
    taken(
        "maxAllowedPrice",
        "max_allowed_price",
        number,
        how="in VMDIRAC no VM of an image with a price ever started",
        vital=True,
    ),
)

BOOT_SCRIPTS = "VMs boot with the user data of our templates (include/templates); put it into one of your own if needed"
METHOD = (
    *idle("vmCertPath vmKeyPath", "VMs get secrets of their own, no host certificate or proxy is sent to clouds"),
    *idle(
        "vmContextualizeScriptPath vmCvmfsContextURL vmDiracContextURL vmRunJobAgentURL vmRunVmMonitorAgentURL"
        " vmRunVmUpdaterAgentURL vmRunLogAgentURL",
        BOOT_SCRIPTS,
    ),
    *idle("ex_userdata ex_image ex_size hdcImageName context_files_url", BOOT_SCRIPTS),
    *idle("bootImageName flavorName contextMethod", "VMDIRAC asked for it and used BootImages and Flavors"),
    *idle("ex_pubkey_path", "keys are named, not sent: set key_name to that of a key pair in the cloud"),
)
METADATA = "VMs are tagged with what finds them again, and with nothing else"


def import_images(sections: list[Section], endpoints: Mapping[str, str], outcome: Outcome) -> dict[str, str]:
    """Make an image of each section.

    :param endpoints: conn_ids by the names in the file.
    :returns: names of images by those in the file, of those that are imported.
    """
    names: dict[str, str] = {}
    for section in sections:
        name = free_name(section.name, outcome.images)
        if _import_image(section, name, endpoints, outcome):
            names[section.name.strip()] = name
    return names


def _import_image(section: Section, name: str, endpoints: Mapping[str, str], outcome: Outcome) -> bool:
    ledger, what = outcome.ledger, f"image {name}"
    found = read_options(section, IMAGE, ledger, what)
    entries = _boot_entries(section, name, endpoints, ledger)
    method = _context_method(section, name, ledger)
    _endpoint_wide(section, method, entries, outcome)
    for inner in section.sections.values():
        if inner.name in METHOD_OF:
            read_options(inner, METHOD, ledger, what)
            for option in metadata.walk() if (metadata := inner.at("ex_metadata")) else ():
                ledger.put(option, Verdict.NO_EFFECT, METADATA, secret=True)
    why = ""
    if found.broken:
        why = f"{found.broken[0].name} is wrong, and VMs could cost more than that without it"
    elif not entries:
        why = "there is no endpoint for which BootImages and Flavors both have an entry"
    if why:
        ledger.drop(section, f"image {section.name!r}", why)
        return False
    outcome.images[name] = Image(
        name, section, {"context_method": METHOD_OF.get(method, "cloudinit"), **found.values}, entries
    )
    if name != section.name:
        ledger.note(f"{section.path}: the image is now called {name!r}")
    return True


def _boot_entries(
    section: Section, name: str, endpoints: Mapping[str, str], ledger: Ledger
) -> dict[str, dict[str, str]]:
    """What boots, by conn_id: where both the boot image and the flavor are said."""
    parts: dict[str, dict[str, Option]] = {}
    for inner, key in (("BootImages", "boot_image"), ("Flavors", "flavor")):
        for option in found.options.values() if (found := section.at(inner)) else ():
            conn_id = endpoints.get(option.name)
            if conn_id is None:
                ledger.put(option, Verdict.NO_EFFECT, f"no endpoint {option.name!r} is imported")
            elif not option.value.strip():
                ledger.problem(option, "a value is needed, it is empty")
            else:
                parts.setdefault(conn_id, {})[key] = option
    entries = {}
    for conn_id, given in parts.items():
        if len(given) == 2:
            entries[conn_id] = {key: option.value.strip() for key, option in given.items()}
        for key, option in given.items():
            if len(given) == 2:
                ledger.put(option, Verdict.TAKEN, f"image {name}: endpoints.{conn_id}.{key}")
            else:
                other = "Flavors" if key == "boot_image" else "BootImages"
                ledger.problem(option, f"there is no {section.path}/{other}/{option.name}: both are needed")
    return entries


def _context_method(section: Section, name: str, ledger: Ledger) -> str:
    """As VMDIRAC calls it."""
    option = section.options.get("contextMethod")
    method = option.value.strip() if option is not None else "cloudinit"
    if option is None:
        ledger.note(f"{section.path}: contextMethod is missing; here it is cloudinit")
    elif method not in METHOD_OF:
        how = f"it was {method!r}; VMs are contextualized by cloud-init here, so what boots must have cloud-init in it"
        ledger.put(option, Verdict.CHANGED, f"image {name}: context_method cloudinit; {how}")
        ledger.note(f"image {name!r}: {how}")
    elif how := CHANGED.get(method, ""):
        ledger.put(option, Verdict.CHANGED, f"image {name}: context_method {METHOD_OF[method]}; {how}")
        ledger.note(f"image {name!r}: {how}")
    else:
        ledger.put(option, Verdict.TAKEN, f"image {name}: context_method")
    if method == SSH:
        ledger.note(
            f"image {name!r}: VMDIRAC logged in as root with the key of its own account (~/.ssh/id_rsa); here the"
            f" private key is in the connection {DEFAULT_SSH_CONNECTION!r}, of type ssh: make"
            " it, and let the image take its key"
        )
    return method


def _endpoint_wide(section: Section, method: str, entries: Mapping[str, object], outcome: Outcome) -> None:
    """Options that are the image's in VMDIRAC and the endpoint's here: key pairs and security groups."""
    inner = section.at(method)
    candidates = [(KEY_NAME, section.options.get("keyName"))]
    if inner is not None:
        candidates.append((KEY_NAME, inner.options.get("ex_keyname")))
        candidates.append((SECURITY_GROUPS, inner.options.get("ex_security_groups")))
    for key, option in candidates:
        if option is None:
            continue
        if option.value.strip() in {"", "nouse"}:
            outcome.ledger.put(option, Verdict.NO_EFFECT, "it says that there is none")
            continue
        value = words(option.value) if key == SECURITY_GROUPS else option.value.strip()
        differing = []
        for conn_id in entries:
            if outcome.endpoints[conn_id].extra.setdefault(key, value) != value:
                differing.append(conn_id)
        if differing:
            outcome.ledger.problem(
                option,
                f"{key} belongs to the endpoint here, and another image says something else for"
                f" {', '.join(differing)}: decide, or make a second connection to the same cloud",
            )
        elif entries:
            how = "it belongs to the endpoint here, so it counts for all images on it"
            outcome.ledger.put(option, Verdict.CHANGED, f"connections {', '.join(entries)}: {key}; {how}")
        else:
            outcome.ledger.put(option, Verdict.NO_EFFECT, "the image is on no endpoint")
    # In the sections of methods that are not used.
    for other in section.sections.values():
        for name in ("ex_keyname", "ex_security_groups"):
            if other.name in METHOD_OF and other.name != method and (option := other.options.get(name)) is not None:
                outcome.ledger.put(option, Verdict.NO_EFFECT, "the image's contextMethod is another one")
