"""What OpenStack says no with: every entry of the table, and what openstacksdk raises."""

import json
from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from vmdirac.hooks.openstack_errors import FAULTS, RULES, error_of, error_of_answer, fault_of, kind_of, typed_errors
from vmdirac.model.errors import (
    AuthError,
    CapacityError,
    ConfigError,
    ErrorKind,
    QuotaError,
    ThrottleError,
    TransientError,
)

ANSWERS = [
    (401, "The request you have made requires authentication.", ErrorKind.AUTH, 0),
    (429, "", ErrorKind.THROTTLE, 1),
    (413, "This request was rate-limited.", ErrorKind.THROTTLE, 2),
    (503, "Too Many Requests", ErrorKind.THROTTLE, 2),
    (409, "No valid host was found. There are not enough hosts available.", ErrorKind.CAPACITY, 3),
    (500, "No valid host was found. ", ErrorKind.CAPACITY, 3),
    (400, "Insufficient compute resources: Free memory 1.00 MB < requested 8 MB.", ErrorKind.CAPACITY, 3),
    (409, "IpAddressGenerationFailure No more IP addresses available on network 1.", ErrorKind.CAPACITY, 4),
    (404, "No more fixed IP addresses", ErrorKind.CAPACITY, 4),
    (409, "ExternalIpAddressExhausted Unable to find any IP address on external network 1.", ErrorKind.CAPACITY, 5),
    (500, "Exceeded max scheduling attempts 3 for instance 1.", ErrorKind.CAPACITY, 6),
    (500, "Exceeded maximum number of retries.", ErrorKind.CAPACITY, 6),
    (403, "Quota exceeded for cores: Requested 1, but already used 20 of 20 cores", ErrorKind.QUOTA, 7),
    (409, "OverQuota Quota exceeded for resources: ['floatingip'].", ErrorKind.QUOTA, 7),
    (400, "Maximum number of metadata items exceeds the allowed", ErrorKind.QUOTA, 7),
    (403, "Maximum number of ports exceeded", ErrorKind.QUOTA, 7),
    (403, "The number of defined ports: 1 is over the limit: 0", ErrorKind.QUOTA, 7),
    (
        403,
        "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'.",
        ErrorKind.QUOTA,
        7,
    ),
    (403, "Quota exceeded, too many servers in group", ErrorKind.QUOTA, 7),
    (413, "", ErrorKind.QUOTA, 8),
    (403, "Policy doesn't allow os_compute_api:servers:create to be performed.", ErrorKind.AUTH, 9),
    (408, "", ErrorKind.TRANSIENT, 10),
    (409, "Cannot 'delete' instance 1 while it is in task_state image_uploading", ErrorKind.TRANSIENT, 11),
    (400, "Invalid key_name provided.", ErrorKind.CONFIG, 12),
    (400, "Image 1 is not active.", ErrorKind.CONFIG, 12),
    (400, "Flavor's disk is too small for requested image.", ErrorKind.CONFIG, 12),
    (400, "The requested availability zone is not available", ErrorKind.CONFIG, 12),
    (404, "Flavor 1 could not be found.", ErrorKind.CONFIG, 12),
    (409, "Port 1 is still in use.", ErrorKind.CONFIG, 12),
    (409, "Multiple possible networks found, use a Network ID to be more specific.", ErrorKind.CONFIG, 12),
    (500, "Unexpected API Error.", ErrorKind.TRANSIENT, 13),
    (502, "", ErrorKind.TRANSIENT, 13),
    (504, "", ErrorKind.TRANSIENT, 13),
]


@pytest.mark.parametrize(("status", "text", "kind", "rule"), ANSWERS)
def test_an_answer_is_of_the_kind_of_the_first_rule_that_holds(
    status: int, text: str, kind: ErrorKind, rule: int
) -> None:
    assert kind_of(status, text) is kind
    assert next(number for number, known in enumerate(RULES) if known.holds(status, text)) == rule


def test_each_rule_has_its_example() -> None:
    assert {rule for *_, rule in ANSWERS} == set(range(len(RULES)))


@pytest.mark.parametrize(("status", "kind"), [(418, ErrorKind.CONFIG), (599, ErrorKind.TRANSIENT)])
def test_a_status_that_nobody_foresaw(status: int, kind: ErrorKind) -> None:
    assert kind_of(status, "") is kind


HOST_FAILED = (
    "Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures for instance 1."
)
PORTS = "Build of instance 1 aborted: Failed to allocate the network(s) with error Maximum number of ports exceeded"
TOLD = [
    ("No valid host was found. There are not enough hosts available.", ErrorKind.CAPACITY),
    ("Build of instance 1 was re-scheduled: Insufficient compute resources: pretended.", ErrorKind.CAPACITY),
    ("Build of instance 1 aborted: No more IP addresses available on network 2.", ErrorKind.CAPACITY),
    ("No fixed IP addresses available for network: 2", ErrorKind.CAPACITY),
    (HOST_FAILED, ErrorKind.CAPACITY),
    (PORTS, ErrorKind.QUOTA),
    ("Too Many Requests", ErrorKind.THROTTLE),
    ("Image 1 could not be found.", ErrorKind.CONFIG),
    ("Build of instance 1 aborted: Image 2 is unacceptable: no disk", ErrorKind.CONFIG),
    ("Flavor's disk is too small for requested image. Flavor disk is 1 bytes, image is 2 bytes.", ErrorKind.CONFIG),
    ("Instance 1 could not be found.", None),
    ("internal error: process exited while connecting to monitor", None),
    ("Failed to allocate the network(s), not rescheduling.", None),
    ("", None),
]


@pytest.mark.parametrize(("message", "kind"), TOLD)
def test_a_fault_of_a_listed_vm_tells_its_kind(message: str, kind: ErrorKind | None) -> None:
    assert fault_of(message) is kind


def test_each_rule_of_faults_has_its_example() -> None:
    used = {next(number for number, rule in enumerate(FAULTS) if rule.holds(0, text)) for text, kind in TOLD if kind}
    assert used == set(range(len(FAULTS)))


def answer(status: int, content: Any, **headers: str) -> requests.Response:
    response = requests.Response()
    response.status_code, response.reason = status, "Reason"
    response._content = json.dumps(content).encode() if not isinstance(content, bytes) else content
    response.headers.update(headers)
    return response


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ({"forbidden": {"code": 403, "message": "Quota exceeded for cores"}}, "Quota exceeded for cores"),
        (
            {"NeutronError": {"type": "OverQuota", "message": "Quota exceeded", "detail": ""}},
            "OverQuota Quota exceeded",
        ),
        ({"error": {"message": "quota", "title": "x"}}, "quota"),
        ({"message": "quota here"}, "quota here"),
    ],
)
def test_each_services_way_to_say_it_is_understood(content: Any, shown: str) -> None:
    error = error_of_answer(answer(403, content))
    assert type(error) is QuotaError
    assert str(error) == f"403: {shown}"


def test_a_page_of_a_web_server_is_not_shown() -> None:
    error = error_of_answer(answer(502, b"<html>hidden</html>", **{"Content-Type": "text/html"}))
    assert type(error) is TransientError
    assert str(error) == "502: Reason"


def test_user_data_that_nova_quotes_is_not_shown() -> None:
    message = "Invalid input for field/attribute user_data. Value: aGlkZGVu. 'aGlkZGVu' is too long"
    error = error_of_answer(answer(400, {"badRequest": {"message": message}}))
    assert type(error) is ConfigError
    assert "aGlkZGVu" not in str(error)


@pytest.mark.parametrize(("header", "pause"), [("7", 7.0), ("1.5", 1.5), ("Fri, 31 Dec 1999 23:59:59 GMT", None)])
def test_the_pause_is_passed_on(header: str, pause: float | None) -> None:
    error = error_of_answer(answer(429, {}, **{"Retry-After": header}))
    assert isinstance(error, ThrottleError)
    assert error.retry_after == pause


RAISED = [
    (keystone.Unauthorized("no"), AuthError),
    (keystone.Forbidden("policy"), AuthError),
    (keystone.NotFound("no such path"), ConfigError),
    (keystone.InternalServerError("oh"), TransientError),
    (keystone.HttpError("No valid host was found", http_status=500), CapacityError),
    (keystone.ConnectFailure("refused"), TransientError),
    (keystone.ConnectTimeout("late"), TransientError),
    (keystone.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"), ConfigError),
    (keystone.SSLError("[SSL: TLSV1_ALERT_UNKNOWN_CA] tlsv1 alert unknown ca"), AuthError),
    (keystone.SSLError("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required"), AuthError),
    (keystone.SSLError("SSLEOFError(8, 'EOF occurred in violation of protocol')"), TransientError),
    (keystone.DiscoveryFailure("nothing"), TransientError),
    (keystone.EndpointNotFound("no compute"), ConfigError),
    (keystone.EmptyCatalog("none"), ConfigError),
    (keystone.MissingRequiredOptions([]), ConfigError),
    (keystone.AuthorizationFailure("no"), AuthError),
    (sdk.ConfigException("Cloud x was not found."), ConfigError),
    (sdk.ServiceDisabledException("compute"), ConfigError),
    (FileNotFoundError("/no/token"), ConfigError),
    (OSError("Could not find the TLS certificate file, invalid path: /c.pem"), ConfigError),
    (KeyError("hidden"), TransientError),
    (QuotaError("as it is"), QuotaError),
]


@pytest.mark.parametrize(("raised", "expected"), RAISED, ids=lambda value: getattr(value, "__name__", repr(value)))
def test_what_libraries_raise_is_typed(raised: Exception, expected: type[Exception]) -> None:
    assert type(error_of(raised)) is expected


def test_no_trace_of_what_was_sent_is_left() -> None:
    with pytest.raises(TransientError) as caught, typed_errors():
        raise KeyError("hidden")
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
