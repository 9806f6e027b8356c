/**
 * The states of instances and jobs in the order of their life, each with the colour of Airflow's theme that comes
 * nearest, and what it means.
 */

export const INSTANCE_STATES = Object.freeze({
  New: { palette: "scheduled", meaning: "decided, the cloud has not taken the launch yet" },
  Submitted: { palette: "up_for_reschedule", meaning: "the cloud took the launch, the VM has not called in yet" },
  Wait_ssh_context: { palette: "deferred", meaning: "waiting to be contextualized over ssh" },
  Contextualizing: { palette: "restarting", meaning: "being contextualized over ssh" },
  Running: { palette: "success", meaning: "the VM calls in" },
  Stopping: { palette: "up_for_retry", meaning: "draining, or being deleted in the cloud" },
  Halted: { palette: "removed", meaning: "the cloud confirmed that the VM is gone" },
  Stalled: { palette: "awaiting_input", meaning: "the VM has been silent for too long" },
  Error: { palette: "failed", meaning: "the launch was refused or given up" },
});

export const JOB_STATES = Object.freeze({
  waiting: { palette: "queued", meaning: "waiting for a VM" },
  running: { palette: "running", meaning: "a VM has it" },
  done: { palette: "success", meaning: "ended well, its results are here" },
  failed: { palette: "failed", meaning: "ended badly, or lost with its VM too often" },
  cancelled: { palette: "removed", meaning: "cancelled by a user" },
});

export const STATUSES = Object.freeze(Object.keys(INSTANCE_STATES));

/** Everything that may still hold a VM in a cloud. */
export const UNFINISHED = Object.freeze(STATUSES.filter((status) => status !== "Halted"));

/** A state as a word: "Wait ssh context". */
export const wordOf = (state) => state.replaceAll("_", " ");
