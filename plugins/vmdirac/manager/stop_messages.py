"""What people send to stop VMs, or to let them go on, and what they are answered."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from vmdirac.model.states import InstanceStatus
from vmdirac.model.stop import Selection

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=190)]
Number = Annotated[int, Field(ge=1, le=2**63 - 1)]


class StopChoices(BaseModel):
    """Pods and endpoints that have VMs; ``unasked``: how many VMs are stopped without anybody's consent."""

    pods: list[str]
    endpoints: list[str]
    unasked: int


class SelectedInstances(BaseModel):
    """Which instances are meant: those that fit all that is said; ``why`` is kept in the history of each of them."""

    model_config = ConfigDict(extra="forbid")

    instances: Annotated[list[Number], Field(max_length=1000)] = []
    pods: Annotated[list[Name], Field(max_length=1000)] = []
    endpoints: Annotated[list[Name], Field(max_length=1000)] = []
    states: list[InstanceStatus] = []
    why: Text

    @model_validator(mode="after")
    def _says_something(self) -> SelectedInstances:
        self.selection()
        return self

    def selection(self) -> Selection:
        """As the loops take it."""
        return Selection(tuple(self.instances), tuple(self.pods), tuple(self.endpoints), tuple(self.states))


class StopRequest(SelectedInstances):
    """``force``: whatever they are doing. ``dry_run``: only say what would be done. Without it ``instances`` says which
    were looked at: of them those are stopped that still fit what else is said."""

    force: bool = False
    dry_run: bool = False

    @model_validator(mode="after")
    def _was_looked_at(self) -> StopRequest:
        if not self.dry_run and not self.instances:
            raise ValueError("say which instances were looked at")
        return self


class StopResponse(BaseModel):
    """``stopped``: how many are, or would be; ``instances``: which; ``what``: in lines for people; ``jobs``: those that
    go back."""

    stopped: int
    instances: list[int]
    jobs: int
    untouched: int
    what: str


class GoOnResponse(BaseModel):
    """``going_on``: how many drains were cancelled."""

    going_on: int
