"""What EC2 says no with, as one of our errors."""

import http.client

import pytest
from botocore import exceptions as aws  # type: ignore[import-untyped]
from botocore.parsers import ResponseParserError  # type: ignore[import-untyped]

from vmdirac.hooks.ec2_errors import KINDS, LONGEST_MESSAGE, code_of, error_of, fault_of, kind_of, typed_errors
from vmdirac.model.errors import (
    ERRORS,
    AuthError,
    CapacityError,
    CloudError,
    ConfigError,
    ErrorKind,
    ThrottleError,
    TransientError,
)


def answer(code: str, status: int = 400, message: str = "no", **headers: str) -> aws.ClientError:
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": headers}
    return aws.ClientError({"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}, "RunInstances")


EXPECTED = {
    ErrorKind.CAPACITY: [
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientVolumeCapacity",
        "InsufficientFreeAddressesInSubnet",
        "InsufficientAddressCapacity",
        "ReservationCapacityExceeded",
        "UnfulfillableCapacity",
        "SpotMaxPriceTooLow",
    ],
    ErrorKind.THROTTLE: [
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "EC2ThrottledException",
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "SlowDown",
    ],
    ErrorKind.QUOTA: [
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "MaxSpotInstanceCountExceeded",
        "VolumeLimitExceeded",
        "MaxIOPSLimitExceeded",
        "HostLimitExceeded",
        "NetworkInterfaceLimitExceeded",
        "PrivateIpAddressLimitExceeded",
        "AttachmentLimitExceeded",
        "ResourceLimitExceeded",
    ],
    ErrorKind.AUTH: [
        "UnauthorizedOperation",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidSignatureException",
        "IncompleteSignature",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "UnrecognizedClientException",
        "InvalidSecurity",
        "AccessDenied",
        "AccessDeniedException",
        "NotAuthorized",
        "OptInRequired",
        "Blocked",
        "PendingVerification",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "RegionDisabledException",
    ],
    ErrorKind.CONFIG: [
        "InvalidAMIID.Malformed",
        "InvalidAMIID.NotFound",
        "InvalidAMIID.Unavailable",
        "InvalidAMIID.NotSupported",
        "InvalidSubnetID.Malformed",
        "InvalidSubnetID.NotFound",
        "InvalidSubnet.Range",
        "InvalidSubnet",
        "InvalidGroup.NotFound",
        "InvalidGroupId.Malformed",
        "InvalidSecurityGroupID.NotFound",
        "InvalidSecurityGroupID.Malformed",
        "InvalidKeyPair.NotFound",
        "InvalidKeyPair.Format",
        "InvalidInstanceType",
        "InvalidInstanceAttributeValue",
        "InvalidParameterValue",
        "InvalidParameterCombination",
        "InvalidParameter",
        "InvalidUserData.Malformed",
        "InvalidBlockDeviceMapping",
        "InvalidIamInstanceProfile.NotFound",
        "InvalidIamInstanceProfileArn.Malformed",
        "InvalidAvailabilityZone",
        "InvalidZone.NotFound",
        "InvalidPlacementGroup.Unknown",
        "InvalidSnapshot.NotFound",
        "InvalidTagKey.Malformed",
        "TagLimitExceeded",
        "TagPolicyViolation",
        "InvalidInstanceID.Malformed",
        "InvalidInstanceID.NotFound",
        "InvalidAction",
        "MissingParameter",
        "MissingAction",
        "UnknownParameter",
        "ValidationError",
        "MalformedQueryString",
        "Unsupported",
        "UnsupportedOperation",
        "UnsupportedInstanceAttribute",
        "UnsupportedTenancy",
        "UnsupportedProtocol",
        "VPCIdNotSpecified",
        "VPCResourceNotSpecified",
        "DefaultVpcDoesNotExist",
        "EncryptedVolumesNotSupported",
        "OperationNotPermitted",
        "IncorrectInstanceState",
        "IdempotentParameterMismatch",
    ],
    ErrorKind.TRANSIENT: [
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ServerInternal",
        "ServiceUnavailable",
        "Unavailable",
        "RequestTimeout",
        "RequestTimeoutException",
        "IDPCommunicationError",
        "IdempotentInstanceTerminated",
    ],
}


def test_every_code_of_the_table_is_expected() -> None:
    assert {kind: set(codes) for kind, codes in EXPECTED.items()} == {
        kind: {code for code, known in KINDS.items() if known is kind} for kind in ErrorKind
    }


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in EXPECTED.items() for code in codes])
@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_code_means_the_same_whatever_the_status(kind: ErrorKind, code: str, status: int) -> None:
    error = error_of(answer(code, status))
    assert type(error) is ERRORS[kind]
    assert error.kind is kind
    assert code_of(error) == code


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InvalidNovelty", 400, ErrorKind.CONFIG),
        ("", 404, ErrorKind.CONFIG),
        ("Novel", 401, ErrorKind.AUTH),
        ("Novel", 403, ErrorKind.AUTH),
        ("Novel", 408, ErrorKind.TRANSIENT),
        ("Novel", 429, ErrorKind.THROTTLE),
        ("NovelThrottling", 400, ErrorKind.THROTTLE),
        ("NovelThrottling", 503, ErrorKind.THROTTLE),
        ("Novel", 500, ErrorKind.TRANSIENT),
        ("502", 502, ErrorKind.TRANSIENT),
        ("Novel", 302, ErrorKind.TRANSIENT),
        ("Novel", 0, ErrorKind.TRANSIENT),
    ],
)
def test_an_unknown_code_is_judged_by_the_status(code: str, status: int, kind: ErrorKind) -> None:
    assert kind_of(code, status) is kind


@pytest.mark.parametrize(
    ("header", "pause"), [("7", 7.0), ("0.5", 0.5), ("", None), ("Sun, 22 Nov", None), ("-1", None)]
)
def test_the_pause_is_what_ec2_asks_for(header: str, pause: float | None) -> None:
    error = error_of(answer("RequestLimitExceeded", 503, **{"retry-after": header}))
    assert isinstance(error, ThrottleError)
    assert error.retry_after == pause


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (aws.NoCredentialsError(), AuthError),
        (aws.PartialCredentialsError(provider="env", cred_var="key"), AuthError),
        (aws.CredentialRetrievalError(provider="role", error_msg="no"), AuthError),
        (aws.TokenRetrievalError(provider="sso", error_msg="no"), AuthError),
        (aws.UnauthorizedSSOTokenError(), AuthError),
        (aws.NoRegionError(), ConfigError),
        (aws.ProfileNotFound(profile="p"), ConfigError),
        (aws.ParamValidationError(report="value: hidden-treasure"), ConfigError),
        (ValueError("hidden-treasure"), TransientError),
        (aws.EndpointConnectionError(endpoint_url="http://x"), TransientError),
        (aws.ConnectTimeoutError(endpoint_url="http://x"), TransientError),
        (aws.ReadTimeoutError(endpoint_url="http://x"), TransientError),
        (aws.ConnectionClosedError(endpoint_url="http://x"), TransientError),
        (aws.SSLError(endpoint_url="http://x", error="bad"), TransientError),
        (aws.HTTPClientError(error="broken"), TransientError),
        (ResponseParserError("hidden-treasure"), TransientError),
        (http.client.IncompleteRead(b"hidden-treasure"), TransientError),
        (ConnectionResetError("gone"), TransientError),
        (KeyError("hidden-treasure"), TransientError),
        (CapacityError("already ours"), CapacityError),
    ],
)
def test_what_boto3_raises_by_itself(raised: Exception, expected: type[CloudError]) -> None:
    error = error_of(raised)
    assert type(error) is expected
    assert "treasure" not in str(error)


def test_messages_are_for_people() -> None:
    blob = "You are not authorized to perform: ec2:RunInstances. Encoded authorization failure message: " + 5 * "Zm9v"
    assert str(error_of(answer("UnauthorizedOperation", 403, blob))) == (
        "UnauthorizedOperation: You are not authorized to perform: ec2:RunInstances."
    )
    assert len(str(error_of(answer("Novel", 400, "x" * 10_000)))) < LONGEST_MESSAGE + 20
    assert "treasure" not in str(error_of(answer("InvalidUserData.Malformed", 400, "treasure")))


def test_what_fails_is_raised_without_what_was_sent() -> None:
    with pytest.raises(CapacityError) as raised, typed_errors():
        raise answer("InsufficientInstanceCapacity", 500)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("Server.InsufficientInstanceCapacity", ErrorKind.CAPACITY),
        ("Client.VolumeLimitExceeded", ErrorKind.QUOTA),
        ("Client.InvalidSnapshot.NotFound", ErrorKind.CONFIG),
        ("Client.InternalError", ErrorKind.CONFIG),
        ("Server.InternalError", ErrorKind.TRANSIENT),
        ("Client.UserInitiatedShutdown", None),
        ("Client.InstanceInitiatedShutdown", None),
        ("Server.SpotInstanceTermination", None),
        ("", None),
    ],
)
def test_why_a_vm_ended_is_of_a_kind(reason: str, kind: ErrorKind | None) -> None:
    assert fault_of(reason) is kind
