"""What all cloud hooks share: the contract :class:`~vmdirac.model.contracts.Cloud` as an Airflow hook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import ClassVar, TypeVar

from airflow.sdk import BaseHook, Connection
from pydantic import ValidationError

from vmdirac.config.endpoints import EndpointError, parse_endpoint
from vmdirac.config.fields import ConfigModel
from vmdirac.config.problems import sentences
from vmdirac.model.cloud import (
    INSTALLATION_TAG,
    TOKEN_TAG,
    CloudInstance,
    CloudLimits,
    LaunchOutcome,
    LaunchRequest,
    Shape,
    TerminateOutcome,
    VmKind,
)
from vmdirac.model.errors import ConfigError

M = TypeVar("M", bound=ConfigModel)


class VmdiracCloudHook(BaseHook, ABC):
    """One cloud endpoint, which is one Airflow Connection, seen by one installation.

    The methods mean what :class:`~vmdirac.model.contracts.Cloud` says; retries, counting, policy and recording
    are none of a hook's business.

    :param vmdirac_conn_id: the connection, whose id is the endpoint's name. Default: the driver's own default.
    :param installation_id: value of the tag that says which VMs are ours. Airflow's Test button creates a hook
        without it; such a hook can only test the connection and tell limits and shapes.
    :param connection: the connection, where the caller has it already and needs not ask Airflow for it.
    """

    conn_name_attr: ClassVar[str] = "vmdirac_conn_id"
    default_conn_name: ClassVar[str]
    conn_type: ClassVar[str]
    hook_name: ClassVar[str]

    def __init__(
        self,
        vmdirac_conn_id: str | None = None,
        installation_id: str = "",
        *,
        connection: Connection | None = None,
    ) -> None:
        super().__init__()
        self.vmdirac_conn_id = vmdirac_conn_id or self.default_conn_name
        self._installation_id = installation_id
        self._given_connection = connection

    @cached_property
    def connection(self) -> Connection:
        """The connection, asked of Airflow at most once: in a task each asking is an HTTP request."""
        return self._given_connection or self.get_connection(self.vmdirac_conn_id)

    @property
    def installation_id(self) -> str:
        """The tag that owns our VMs. Raises ConfigError where there is none, for then every VM would be ours."""
        if not self._installation_id:
            raise ConfigError("this hook was made without an installation id: it cannot tell its own VMs")
        return self._installation_id

    def own_config(self, model: type[M]) -> M:
        """The driver's own part of the connection. Raises ConfigError with every mistake that it has."""
        extra = self.connection.extra_dejson
        if not isinstance(extra, dict):
            raise ConfigError(f"{self.vmdirac_conn_id}: its extra is not a JSON object")
        try:
            # The other keys are those that all endpoints have, and none of the driver's business.
            return model.model_validate({key: extra[key] for key in model.model_fields if key in extra})
        except ValidationError as error:
            raise ConfigError(f"{self.vmdirac_conn_id}: {'; '.join(sentences(error))}") from None

    def configuration_findings(self) -> list[str]:
        """A sentence for each mistake in the connection, those in what all endpoints have included."""
        connection = self.connection
        try:
            parse_endpoint(self.vmdirac_conn_id, connection.conn_type or "", dict(connection.extra_dejson))
        except EndpointError as error:
            return error.findings
        return []

    def tags_of(self, request: LaunchRequest) -> dict[str, str]:
        """All tags that the request's VM must carry: its own, and above them who owns it and its launch token."""
        return {**dict(request.tags), INSTALLATION_TAG: self.installation_id, TOKEN_TAG: request.token}

    @abstractmethod
    def launch(self, requests: Sequence[LaunchRequest]) -> list[LaunchOutcome]:
        """See :meth:`vmdirac.model.contracts.Cloud.launch`."""

    @abstractmethod
    def instances(self) -> Iterator[CloudInstance]:
        """See :meth:`vmdirac.model.contracts.Cloud.instances`."""

    @abstractmethod
    def terminate(self, cloud_ids: Sequence[str]) -> list[TerminateOutcome]:
        """See :meth:`vmdirac.model.contracts.Cloud.terminate`."""

    @abstractmethod
    def console(self, cloud_id: str) -> str:
        """See :meth:`vmdirac.model.contracts.Cloud.console`."""

    @abstractmethod
    def limits(self, kinds: Collection[VmKind] = ()) -> CloudLimits:
        """See :meth:`vmdirac.model.contracts.Cloud.limits`."""

    @abstractmethod
    def shape(self, flavor: str) -> Shape:
        """See :meth:`vmdirac.model.contracts.Cloud.shape`."""

    @abstractmethod
    def test_connection(self) -> tuple[bool, str]:
        """See :meth:`vmdirac.model.contracts.Cloud.test_connection`."""
