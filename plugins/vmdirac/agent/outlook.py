"""What the VM itself gives to know: another pilot's jobs, signs that it is to go, how long it lives."""

import os
from typing import Callable, Dict, Optional

from vmdirac.agent import departure
from vmdirac.agent.departure import Departure, Signs
from vmdirac.agent.features import job_features
from vmdirac.agent.foreign_pilot import ForeignPilot
from vmdirac.agent.load import LoadAverage
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Message, number
from vmdirac.agent.pilot_place import PilotPlace
from vmdirac.agent.rules import LONGEST_ALONE, Rules
from vmdirac.agent.surroundings import Site, Surroundings
from vmdirac.agent.totals import Totals


class Outlook:
    """Looks when it is told to, and remembers what it saw. ``wish``: why the VM is to go, whatever the manager says.
    ``began``: when its first agent did, in seconds since 1970.

    :param pilot_place: where the pod's pilot is met, if there is one.
    :param clock: seconds that only grow; ``wall``: seconds since 1970, as the VM's jobs see them.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        pilot_place: PilotPlace,
        totals: Totals,
        log: Log,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._surroundings, self._log, self._clock, self._wall = surroundings, log, clock, wall
        self._pilot_place = pilot_place
        self._totals, self.began = totals, wall()
        self._rules, self._load, self._site = Rules(), LoadAverage(), Site()
        self._lives_until: Optional[float] = None
        self._pilot = ForeignPilot(pilot_place, "", "", log)
        self.foreign_jobs = 0
        self.wish: Optional[Departure] = None

    @property
    def jobs_are_a_pilots(self) -> bool:
        return self._pilot.takes_all_jobs

    def obey(self, rules: Rules) -> None:
        self._rules, self._load.timespan = rules, rules.load_average_timespan
        location, stop_file = rules.job_wrappers_location, rules.pilot_stop_file
        self._pilot = ForeignPilot(self._pilot_place, location, stop_file, self._log)

    def set_life(self, body: Message) -> None:
        """How long it still lives, from an answer. Raises TypeError or ValueError."""
        ends = None
        if body.get("lifetime_left") is not None:
            ends = self._clock() + number(body, "lifetime_left", -LONGEST_ALONE, LONGEST_ALONE)
        self._lives_until = ends

    @property
    def life_ends(self) -> Optional[float]:
        """In seconds since 1970, as the manager said last."""
        return None if self._lives_until is None else self._wall() + self._lives_until - self._clock()

    def go_on(self, began: Optional[float], life_ends: Optional[float]) -> None:
        """Take up what an earlier agent knew, in seconds since 1970. The clock is another one since."""
        self.began = began or self.began
        self._lives_until = None if life_ends is None else self._clock() + life_ends - self._wall()

    def vitals(self) -> Message:
        return {"load": self._load.note(self._clock(), os.getloadavg()[0]), "uptime": self._totals.uptime()}

    def look(self) -> bool:
        """See what there is and tell the jobs of it; whether the wish to go came or went."""
        now = self._clock()
        self.count_foreign_jobs()
        self._site = self._surroundings.site()
        if self._rules.processors:
            self._tell_jobs()
        stop_file, message = self._surroundings.stop_file(), self._surroundings.shutdown_message()
        before = self.wish
        self.wish = departure.wish_to_leave(Signs(stop_file, message, self._end_of_life(now)), now)
        return (before is None) != (self.wish is None)

    def count_foreign_jobs(self) -> None:
        self.foreign_jobs = self._pilot.jobs()

    def guide_pilot(self, draining: bool, credentials: Optional[Dict[str, str]]) -> None:
        """See to it that the other pilot takes no jobs, or that it may. ``credentials``: the variables that lead to
        them; None: they are not there yet."""
        if draining:
            self._pilot.keep_from_jobs(self._clock())
        elif credentials is None or not self._pilot.here():
            self._pilot.let_work(None)
        else:
            # It may have come after the last look, and reads what it may use when it begins.
            self._tell_jobs()
            features = {"JOBFEATURES": self._surroundings.job_features}
            self._pilot.let_work(dict(credentials, **self.environment(), **features))

    def settled(self) -> bool:
        """Whether nobody else takes jobs as long as the VM drains."""
        return self._pilot.settled(self._clock())

    def message(self) -> Optional[Departure]:
        """What whatever works here says about the end."""
        return self._surroundings.shutdown_message()

    def environment(self) -> Dict[str, str]:
        """What jobs are told about the machine."""
        return {"MACHINEFEATURES": self._surroundings.machine_features}

    def features_of(self, job: str, processors: int, memory_mb: int, cpu_time: int) -> Dict[str, str]:
        """What a job that starts now may use. ``memory_mb`` 0: its processors' share of the VM's."""
        return self._features(job, processors, memory_mb, cpu_time, self._wall())

    def _features(self, job: str, processors: int, memory_mb: int, cpu_time: int, started: float) -> Dict[str, str]:
        return job_features(
            job=job,
            processors=processors,
            cpu_time=cpu_time,
            memory_mb=memory_mb or self._rules.memory_mb * processors // max(1, self._rules.processors),
            started=started,
            shutdown_time=self._shutdown_time(),
            machine_hs06=self._site.hs06,
            machine_processors=self._rules.processors,
            grace_secs=self._site.grace_secs or 0.0,
        )

    def _tell_jobs(self) -> None:
        rules = self._rules
        self._surroundings.describe(rules.processors, self._shutdown_time(), self._site, self._log)
        if self._pilot.here():  # may use all of the VM
            cpu_time = rules.cpu_time * rules.processors
            values = self._features("pilot", rules.processors, rules.memory_mb, cpu_time, self.began)
            self._surroundings.describe_job(values, self._log)

    def _end_of_life(self, now: float) -> Optional[float]:
        """By the agent's clock: what the manager said, or the site."""
        ends = [] if self._lives_until is None else [self._lives_until]
        if self._site.shutdown_time is not None:
            ends.append(now + self._site.shutdown_time - self._wall())
        return min(ends) if ends else None

    def _shutdown_time(self) -> Optional[float]:
        """The same as jobs are told."""
        now = self._clock()
        ends = self._end_of_life(now)
        return None if ends is None else self._wall() + ends - now
