"""Puts what jobs left in their output directories where the manager says."""

import http.client
import os
import ssl
import urllib.parse
from typing import Any, Dict, Optional, Tuple

from vmdirac.agent.job import Job
from vmdirac.agent.log import Log
from vmdirac.agent.manager import Answer, Manager, is_loopback
from vmdirac.agent.outputs import Output

TIMEOUT = 300.0  # seconds without progress: a store may take its time to confirm a large file
NO_PERMISSION = 424  # the manager is there, and what it signs with is not
TRIES = 30
"""So often all files of a job are tried, with pauses of up to a minute: then its result goes without them."""


class UploadError(Exception):
    """A file could not be put away; the text says why, without the address, which is a secret."""


class Uploader:
    """:param ca_file: authorities that count beside those of the system: a store is not the manager."""

    def __init__(self, manager: Manager, ca_file: Optional[str], log: Log) -> None:
        self._manager, self._log = manager, log
        self._tls = ssl.create_default_context()
        if ca_file:
            self._tls.load_verify_locations(ca_file)

    def put_away(self, job: Job, token: str) -> Optional[Answer]:
        """Put away all outputs of a job; the answer for which its result must wait, None: there is none."""
        if job.upload_tries >= TRIES:
            return None
        left = {output.name: output for output in job.outputs() if output.name not in job.uploaded}
        if not left:
            return None
        files = [{"name": output.name, "size": output.size} for output in left.values()]
        answer = self._manager.call(f"/jobs/{job.id}/outputs", token, {"lease": job.lease, "files": files})
        if answer.status == NO_PERMISSION:
            return self._failed(job, answer.detail)
        if not answer.good or not answer.body.get("accepted"):
            return None if answer.good else answer  # what is too late is said to be so with its result
        try:
            for target in answer.body["targets"]:
                output = left[target["name"]]
                self._put(job, output, str(target["url"]), dict(target["headers"]))
                job.uploaded[output.name] = output.size
        except (UploadError, OSError, http.client.HTTPException, KeyError, TypeError, ValueError) as error:
            return self._failed(job, f"{type(error).__name__}: {error}" if str(error) else repr(error))
        return None

    def _failed(self, job: Job, why: str) -> Optional[Answer]:
        job.upload_tries += 1
        if job.upload_tries < TRIES:
            return Answer(0, {}, f"outputs not put away: {why}")
        self._log("outputs of job %s are given up: %s", job.id, why)
        job.give_up_outputs(why)
        return None

    def _put(self, job: Job, output: Output, url: str, headers: Dict[str, str]) -> None:
        """Raises UploadError, OSError or HTTPException."""
        connection, path = self._connect(url)
        try:
            with job.open_output(output.name) as file:
                if os.fstat(file.fileno()).st_size != output.size:
                    raise UploadError(f"{output.name} has changed")
                connection.request("PUT", path, file, dict(headers, **{"Content-Length": str(output.size)}))
                response = connection.getresponse()
                response.read(65536)
        finally:
            connection.close()
        if not 200 <= response.status < 300:
            raise UploadError(f"{output.name}: the store answered {response.status} {response.reason}"[:300])

    def _connect(self, url: str) -> Tuple[Any, str]:
        parts = urllib.parse.urlsplit(url)
        path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if parts.hostname and parts.scheme == "https":
            context = self._tls
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT, context=context), path
        if parts.hostname and parts.scheme == "http" and is_loopback(parts.hostname):
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT), path
        raise UploadError("the store's address is not one of https")
