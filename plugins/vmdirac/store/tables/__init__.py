"""The tables. Importing this package makes all of them known to :class:`~vmdirac.store.tables.base.Base`."""

from vmdirac.store.tables.agent_programs import AgentProgramRow
from vmdirac.store.tables.alerts import AlertRow
from vmdirac.store.tables.base import Base
from vmdirac.store.tables.endpoints import EndpointRow, FlavorRow, HoldRow
from vmdirac.store.tables.identity import CredentialHandoutRow, RefusalRow
from vmdirac.store.tables.installation import InstallationRow
from vmdirac.store.tables.instances import HistoryRow, InstanceRow
from vmdirac.store.tables.left_behind import InstanceLogRow, JobUploadRow
from vmdirac.store.tables.orphans import OrphanRow
from vmdirac.store.tables.pods import ImageRow, RunningPodRow
from vmdirac.store.tables.queue import AttemptRow, JobFileRow, JobRow, TaskQueueRow
from vmdirac.store.tables.ssh_contexts import SshContextRow
from vmdirac.store.tables.statistics import CountingRow, TableSizeRow, TotalRow
from vmdirac.store.tables.ticks import DecisionRow, OfferRow, TickDemandRow, TickRow

__all__ = [
    "AgentProgramRow",
    "AlertRow",
    "AttemptRow",
    "Base",
    "CountingRow",
    "CredentialHandoutRow",
    "DecisionRow",
    "EndpointRow",
    "FlavorRow",
    "HistoryRow",
    "HoldRow",
    "ImageRow",
    "InstallationRow",
    "InstanceLogRow",
    "InstanceRow",
    "JobFileRow",
    "JobRow",
    "JobUploadRow",
    "OfferRow",
    "OrphanRow",
    "RefusalRow",
    "RunningPodRow",
    "SshContextRow",
    "TableSizeRow",
    "TaskQueueRow",
    "TickDemandRow",
    "TickRow",
    "TotalRow",
]
