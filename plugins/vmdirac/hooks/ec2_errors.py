"""What EC2 says no with, as one of our six errors: one table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

from vmdirac.hooks.typed_errors import raised_as
from vmdirac.model.errors import (
    ERRORS,
    AuthError,
    CloudError,
    ConfigError,
    ErrorKind,
    ThrottleError,
    TransientError,
)

LONGEST_MESSAGE = 600

_CODES = {
    # No room for this type in this zone now, or not at this price.
    ErrorKind.CAPACITY: """
        InsufficientInstanceCapacity InsufficientHostCapacity InsufficientReservedInstanceCapacity
        InsufficientCapacity InsufficientVolumeCapacity InsufficientFreeAddressesInSubnet InsufficientAddressCapacity
        ReservationCapacityExceeded UnfulfillableCapacity SpotMaxPriceTooLow""",
    ErrorKind.THROTTLE: """
        RequestLimitExceeded Throttling ThrottlingException ThrottledException RequestThrottled
        RequestThrottledException TooManyRequestsException EC2ThrottledException BandwidthLimitExceeded
        PriorRequestNotComplete SlowDown""",
    ErrorKind.QUOTA: """
        VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded VolumeLimitExceeded
        MaxIOPSLimitExceeded HostLimitExceeded NetworkInterfaceLimitExceeded PrivateIpAddressLimitExceeded
        AttachmentLimitExceeded ResourceLimitExceeded""",
    ErrorKind.AUTH: """
        UnauthorizedOperation AuthFailure ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId
        InvalidAccessKeyId SignatureDoesNotMatch InvalidSignatureException IncompleteSignature
        MissingAuthenticationToken MissingAuthenticationTokenException UnrecognizedClientException InvalidSecurity
        AccessDenied AccessDeniedException NotAuthorized OptInRequired Blocked PendingVerification
        InvalidIdentityToken IDPRejectedClaim RegionDisabledException""",
    ErrorKind.CONFIG: """
        InvalidAMIID.Malformed InvalidAMIID.NotFound InvalidAMIID.Unavailable InvalidAMIID.NotSupported
        InvalidSubnetID.Malformed InvalidSubnetID.NotFound InvalidSubnet.Range InvalidSubnet
        InvalidGroup.NotFound InvalidGroupId.Malformed InvalidSecurityGroupID.NotFound InvalidSecurityGroupID.Malformed
        InvalidKeyPair.NotFound InvalidKeyPair.Format InvalidInstanceType InvalidInstanceAttributeValue
        InvalidParameterValue InvalidParameterCombination InvalidParameter InvalidUserData.Malformed
        InvalidBlockDeviceMapping InvalidIamInstanceProfile.NotFound InvalidIamInstanceProfileArn.Malformed
        InvalidAvailabilityZone InvalidZone.NotFound InvalidPlacementGroup.Unknown InvalidSnapshot.NotFound
        InvalidTagKey.Malformed TagLimitExceeded TagPolicyViolation InvalidInstanceID.Malformed
        InvalidInstanceID.NotFound InvalidAction MissingParameter MissingAction UnknownParameter ValidationError
        MalformedQueryString Unsupported UnsupportedOperation UnsupportedInstanceAttribute UnsupportedTenancy
        UnsupportedProtocol VPCIdNotSpecified VPCResourceNotSpecified DefaultVpcDoesNotExist
        EncryptedVolumesNotSupported OperationNotPermitted IncorrectInstanceState IdempotentParameterMismatch""",
    # The last: a VM was made with the token and is gone again. The hook looks for it; where it is no longer shown
    # nothing is certain, and asking again makes nothing.
    ErrorKind.TRANSIENT: """
        InternalError InternalFailure InternalServerError ServerInternal ServiceUnavailable Unavailable RequestTimeout
        RequestTimeoutException IDPCommunicationError IdempotentInstanceTerminated""",
}

KINDS: Mapping[str, ErrorKind] = MappingProxyType(
    {code: kind for kind, codes in _CODES.items() for code in codes.split()}
)
"""What each of EC2's error codes means for us."""


def kind_of(code: str, status: int) -> ErrorKind:
    """What an answer of EC2 means; the status decides only where the code is none that we know.

    By the code first: EC2 says ``InsufficientInstanceCapacity`` with status 500.
    """
    if known := KINDS.get(code):
        return known
    if status == 429 or "throttl" in code.lower():
        return ErrorKind.THROTTLE
    if status in {401, 403}:
        return ErrorKind.AUTH
    if 400 <= status < 500 and status != 408:
        return ErrorKind.CONFIG
    return ErrorKind.TRANSIENT


def fault_of(reason: str) -> ErrorKind | None:
    """What the code with which EC2 says why a VM ended (``Server.InsufficientInstanceCapacity``) means; ``None``: that
    nothing was wrong, or none that we know."""
    if reason == "Client.InternalError":
        # Documented so: mostly a key of an encrypted volume that may not be used.
        return ErrorKind.CONFIG
    return KINDS.get(reason.partition(".")[2])


def code_of(error: CloudError) -> str:
    """EC2's own code, with which the message of an error begins that EC2 answered with."""
    return str(error).partition(":")[0]


def error_of(error: Exception) -> CloudError:
    """One of our errors for whatever a call of boto3 raised."""
    from botocore import exceptions as aws  # type: ignore[import-untyped]

    if isinstance(error, CloudError):
        return error
    if isinstance(error, aws.ClientError):
        return _error_of_answer(error.response)
    name = type(error).__name__
    if isinstance(
        error,
        aws.NoCredentialsError
        | aws.PartialCredentialsError
        | aws.CredentialRetrievalError
        | aws.TokenRetrievalError
        | aws.SSOError,
    ):
        return AuthError(f"there are no credentials that can be used: {_shown(str(error))}")
    if isinstance(error, aws.ParamValidationError):
        # Its message quotes what was sent, the user data too.
        return ConfigError("boto3 refuses the request: a parameter has a form that EC2 does not take")
    if isinstance(error, aws.NoRegionError):
        return ConfigError("no region is set: set region_name here or in the aws connection")
    if isinstance(error, aws.ProfileNotFound | aws.ConfigParseError | aws.ConfigNotFound | aws.UnknownServiceError):
        return ConfigError(_shown(str(error)))
    if isinstance(error, aws.BotoCoreError | OSError):
        # Time-outs, connections, answers that break off: the call may have taken effect.
        return TransientError(f"{name}: {_shown(str(error))}" if _is_harmless(error) else f"{name}: no usable answer")
    # A library's bug, say: whether EC2 was asked is not known, and what the message quotes neither.
    return TransientError(f"{name} while EC2 was asked")


def typed_errors() -> AbstractContextManager[None]:
    """Whatever fails in it is raised as one of our errors, without the trace of what was sent."""
    return raised_as(error_of)


def _error_of_answer(response: Any) -> CloudError:
    error, metadata = response.get("Error", {}), response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(metadata.get("HTTPStatusCode") or 0)
    kind = kind_of(code, status)
    if "userdata" in code.lower():
        message = f"{code}: EC2 refuses the user data"
    else:
        message = f"{code}: {_shown(str(error.get('Message', '')))}"
    if kind is ErrorKind.THROTTLE:
        return ThrottleError(message, _pause(metadata.get("HTTPHeaders", {}).get("retry-after")))
    return ERRORS[kind](message)


def _is_harmless(error: Exception) -> bool:
    """Whether the message says where we called and not what was answered."""
    from botocore import exceptions as aws

    return isinstance(error, aws.HTTPClientError) and not isinstance(error, aws.ResponseStreamingError)


def _pause(header: object) -> float | None:
    text = str(header or "")
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text) else None


def _shown(message: str) -> str:
    """Without the encoded explanation, a page long, that EC2 adds to refusals and that no person can read."""
    message = re.sub(r"\s*Encoded authorization failure message:.*", "", message, flags=re.DOTALL)
    return message[:LONGEST_MESSAGE]
