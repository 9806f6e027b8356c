"""Results on their way to the manager: nothing is lost while it is away, and only what is still ours is sent."""

from typing import Callable, List

from vmdirac.agent.contact import Contact
from vmdirac.agent.job import Job
from vmdirac.agent.line import Line
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Answer, Manager
from vmdirac.agent.totals import Totals
from vmdirac.agent.uploads import Uploader

MOST = 256
"""Results that wait with which no more jobs are taken: each is in every heartbeat, and the manager bounds those."""


READING = 3600.0
"""Seconds for which what a job left is tried to be read; then its result goes without it."""


class Delivery:
    """The jobs that ended and whose results are not taken yet; it has a line of its own.

    :param unsure: whether the token may be refused: then nothing is given up.
    :param dropped: called when a job is done with.
    """

    def __init__(
        self,
        manager: Manager,
        line: Line,
        contact: Contact,
        uploader: Uploader,
        totals: Totals,
        log: Log,
        unsure: Callable[[], bool],
        dropped: Callable[[], None],
    ) -> None:
        self._manager, self._line, self._contact, self._log = manager, line, contact, log
        self._uploader, self._totals, self._unsure, self._dropped = uploader, totals, unsure, dropped
        self.waiting: List[Job] = []

    @property
    def full(self) -> bool:
        """Whether what is to be taken is not: a store or the manager has been in trouble for long."""
        return len(self.waiting) >= MOST

    def add(self, job: Job) -> None:
        self.waiting.append(job)
        if job.lost:
            self._drop(job)

    def collect(self) -> None:
        self._line.collect()

    def due(self) -> List[float]:
        """When something is to be done."""
        return [] if self._line.busy else [job.timer.due for job in self.waiting]

    def send_next(self, now: float) -> None:
        due = [job for job in self.waiting if now >= job.timer.due]
        if due and not self._line.busy:
            self._send(due[0], now)

    def forget_lost(self) -> None:
        """Drop those that are no longer ours."""
        if not self._line.busy:  # else one of them may be being sent: they go with the answer
            for job in [job for job in self.waiting if job.lost]:
                self._drop(job)

    def _send(self, job: Job, now: float) -> None:
        token, sent = self._contact.token, [0, 0]

        def call() -> Answer:
            try:
                if job.outputs_elsewhere:
                    refusal = self._uploader.put_away(job, token)
                    if refusal is not None:
                        return refusal
                # Read from disk for each try: results that wait while the manager is down take no memory.
                message, size = job.result()
            except OSError as error:
                return self._unreadable(job, error, now)
            job.unread_since = None
            kept = len(message["files"]) + len(message["outputs"])
            sent[:] = [kept + len(job.uploaded), size + sum(job.uploaded.values())]
            answer = self._manager.call(f"/jobs/{job.id}/finish", token, message)
            if answer.good:
                job.remove()  # here, because it may take long
            return answer

        self._line.send(call, lambda answer: self._sent(job, answer, sent))

    @staticmethod
    def _unreadable(job: Job, error: OSError, now: float) -> Answer:
        """Without an end to that, a VM whose disk is broken would hold its jobs for ever."""
        job.unread_since = now if job.unread_since is None else job.unread_since
        if now >= job.unread_since + READING:
            job.give_up_reading(str(error))
        return Answer(0, {}, f"it cannot be read: {error}")

    def _sent(self, job: Job, answer: Answer, sent: List[int]) -> None:
        what = f"result of job {job.id}"
        refusal = f"{what} refused ({answer.status} {answer.detail})"
        if answer.good:
            self._contact.note_good()
            self._totals.add(sent[0], sent[1])
            accepted = answer.body.get("accepted")
            self._log("job %s reported: %s", job.id, "accepted" if accepted else "too late, not counted")
            self._drop(job)
        elif answer.status in {413, 422} and self._unsure():
            # Nothing is sure while the token isn't: with one that expired, much less may be sent.
            self._contact.failed(what, answer, job.timer)
        elif answer.status in {413, 422} and job.with_files:
            self._log("%s, again without files", refusal)
            job.with_files = False
        elif answer.status in {413, 422}:  # it never will be taken; unless we hold it, its lease runs out
            self._log("%s, given up", refusal)
            self._drop(job)
        else:
            self._contact.failed(what, answer, job.timer)
        self.forget_lost()

    def _drop(self, job: Job) -> None:
        self.waiting.remove(job)
        job.remove()
        self._dropped()
