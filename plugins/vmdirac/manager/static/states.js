/**
 * States in the order of their life, each with the colour of Airflow's theme that comes nearest, and what it means.
 * What is called the same has the same colour.
 */

export const INSTANCE_STATES = Object.freeze({
  New: { palette: "scheduled", meaning: "decided, the cloud has not taken the launch yet" },
  Submitted: { palette: "up_for_reschedule", meaning: "the cloud took the launch, the VM has not called in yet" },
  Wait_ssh_context: { palette: "deferred", meaning: "waiting to be contextualized over ssh" },
  Contextualizing: { palette: "restarting", meaning: "being contextualized over ssh" },
  Running: { palette: "success", meaning: "the VM calls in; without an agent: the cloud runs it" },
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

export const POD_STATES = Object.freeze({
  New: { palette: "scheduled", meaning: "not looked at by a tick yet" },
  Unactive: { palette: "removed", meaning: "not within its campaign dates, or not configured any more" },
  Active: { palette: "success", meaning: "VMs are started for it while jobs wait" },
  Error: { palette: "failed", meaning: "its configuration cannot be used" },
});

export const IMAGE_STATES = Object.freeze({
  New: { palette: "scheduled", meaning: "no VM of it, as it is defined now, has called in yet" },
  Validated: { palette: "success", meaning: "a VM of it has called in" },
  Error: { palette: "failed", meaning: "none of its VMs ever booted: no more are started" },
});

/** The phases of a VM's life, in their order, and what they mean. */
export const PHASES = Object.freeze({
  launch: "from the decision until the cloud has taken the launch",
  boot: "until it calls in, or until somebody logs in to contextualize it",
  contextualization: "over ssh: from the first login until it calls in",
  run: "it calls in, and nobody has asked it to stop",
  stalled: "silent for too long, and not given up",
  drain_asked: "asked to drain, no answer yet",
  drain_acknowledged: "takes no more jobs, and finishes those that it has",
  drain_empty: "has no job left, and is not being deleted yet",
  forced: "stopped without a drain, and is not being deleted yet",
  delete: "until the cloud confirms that it is gone",
});

/** What kept a tick from starting more VMs. */
export const LIMITS = Object.freeze({
  invalid: { palette: "failed", meaning: "its configuration cannot be used" },
  held: { palette: "up_for_retry", meaning: "launches failed and are held" },
  probing: { palette: "up_for_retry", meaning: "one VM tries whether it works again" },
  cpu_per_instance: { palette: "queued", meaning: "too little waiting CPU for one more VM" },
  pod_limit: { palette: "queued", meaning: "max_instances of the pod" },
  endpoint_limit: { palette: "queued", meaning: "max_instances of the endpoint" },
  account_limit: { palette: "queued", meaning: "the limits of the endpoint's account, and what others use of them" },
  recovering: { palette: "queued", meaning: "there was no room for the flavor lately: few VMs try it" },
  launches_per_tick: { palette: "queued", meaning: "max_launch_per_tick of the endpoint" },
  launch_rate: { palette: "queued", meaning: "launch_rate of the endpoint" },
  time_budget: { palette: "queued", meaning: "the next tick goes on" },
  unactive: { palette: "removed", meaning: "not within the campaign dates of the pod" },
});

/** Why launches are held. */
export const HOLDS = Object.freeze({
  capacity: { palette: "queued", meaning: "no room for this flavor: other endpoints are preferred for ten minutes" },
  throttle: { palette: "queued", meaning: "the cloud asked for fewer calls" },
  quota: { palette: "up_for_retry", meaning: "the account's limit is reached" },
  auth: { palette: "failed", meaning: "the cloud refuses the credentials" },
  config: { palette: "failed", meaning: "the cloud refuses the image, the flavor or the network" },
  boot: { palette: "failed", meaning: "VMs do not boot" },
});

/** The colour of everything above that is drawn as a badge in a table, by its name. */
export const PALETTES = Object.freeze(
  Object.fromEntries(
    [INSTANCE_STATES, POD_STATES, IMAGE_STATES, LIMITS, HOLDS].flatMap((states) =>
      Object.entries(states).map(([state, { palette }]) => [state, palette]),
    ),
  ),
);

export const STATUSES = Object.freeze(Object.keys(INSTANCE_STATES));

/** Everything that may still hold a VM in a cloud. */
export const UNFINISHED = Object.freeze(STATUSES.filter((status) => status !== "Halted"));

/** A state as a word: "Wait ssh context". */
export const wordOf = (state) => state.replaceAll("_", " ");
