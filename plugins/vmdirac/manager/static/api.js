/** The manager's interface for people, `/vmdirac/ui/v1`, wherever Airflow's base URL puts it. */

const ANSWER_MS = 15_000;

/** What is wrong, as far as it changes what the user can do about it. */
export const Trouble = Object.freeze({
  SESSION_OVER: "session over",
  FORBIDDEN: "forbidden",
  UNREACHABLE: "unreachable",
  SERVER_ERROR: "server error",
});

/** The interface gave no data; `trouble` is a {@link Trouble}, `status` the HTTP status, 0 if there was no answer. */
export class ApiError extends Error {
  constructor(trouble, status) {
    super(`${trouble} (${status})`);
    this.trouble = trouble;
    this.status = status;
  }
}

/**
 * The address of something below Airflow's base URL.
 * @param {string} path without a slash at its beginning
 */
export const address = (path) => new URL(path, document.baseURI).href;

/** Where to log in to come back to this page. */
export const loginAddress = () => address(`api/v2/auth/login?next=${encodeURIComponent(location.href)}`);

/**
 * Counts and one page of the table of instances, of the same moment as nearly as two calls can be.
 * @param {string} query what the table shows, as the interface wants it
 * @param {AbortSignal} signal ends the calls
 * @returns {Promise<{summary: object, table: {instances: object[], total: number}}>}
 * @throws {ApiError}
 */
export async function fetchInstances(query, signal) {
  const [summary, table] = await Promise.all([
    fetchJson("vmdirac/ui/v1/summary", signal),
    fetchJson(`vmdirac/ui/v1/instances?${query}`, signal),
  ]);
  return { summary, table };
}

/**
 * One instance with all that happened to it.
 * @param {string} id
 * @param {AbortSignal} signal ends the call
 * @returns {Promise<{instance: object | null}>} null: there is none
 * @throws {ApiError}
 */
export async function fetchInstance(id, signal) {
  try {
    return { instance: await fetchJson(`vmdirac/ui/v1/instances/${encodeURIComponent(id)}`, signal) };
  } catch (error) {
    if (error.status !== 404) throw error;
    return { instance: null };
  }
}

/**
 * All of scheduling, and one page of the decisions.
 * @param {string} query which decisions, as the interface wants it
 * @param {AbortSignal} signal ends the calls
 * @returns {Promise<{overview: object, table: {decisions: object[], total: number}}>}
 * @throws {ApiError}
 */
export async function fetchScheduling(query, signal) {
  const [overview, table] = await Promise.all([
    fetchJson("vmdirac/ui/v1/scheduling", signal),
    fetchJson(`vmdirac/ui/v1/decisions?${query}`, signal),
  ]);
  return { overview, table };
}

/**
 * How things went in the last week.
 * @param {string} _ nothing can be chosen
 * @param {AbortSignal} signal ends the call
 * @returns {Promise<{totals: object, times: object}>}
 * @throws {ApiError}
 */
export async function fetchStatistics(_, signal) {
  const [totals, times, sizes] = await Promise.all([
    fetchJson("vmdirac/ui/v1/totals?days=7", signal),
    fetchJson("vmdirac/ui/v1/phases?days=7", signal),
    fetchJson("vmdirac/ui/v1/sizes", signal),
  ]);
  return { totals, times, sizes };
}

/**
 * Drops what holds launches on an endpoint.
 * @returns {Promise<{dropped: number}>} how many holds there were
 * @throws {ApiError}
 */
export const resumeEndpoint = (name) => post(`vmdirac/ui/v1/endpoints/${encodeURIComponent(name)}/resume`);

/**
 * Takes an image out of Error.
 * @throws {ApiError}
 */
export const resetImage = (name) => post(`vmdirac/ui/v1/images/${encodeURIComponent(name)}/reset`);

/**
 * Stops an instance: by force, or when its jobs are done.
 * @returns {Promise<{stopped: number, jobs: number}>}
 * @throws {ApiError}
 */
export const stopInstance = (id, why, force) => post("vmdirac/ui/v1/stops", { instances: [id], why, force });

/**
 * Cancels the drain of an instance.
 * @returns {Promise<{going_on: number}>}
 * @throws {ApiError}
 */
export const letGoOn = (id, why) => post("vmdirac/ui/v1/stops/cancel", { instances: [id], why });

/**
 * What VMs to be stopped can have in common, and how many may be stopped without anybody's consent.
 * @param {AbortSignal} signal ends the call
 * @returns {Promise<{pods: string[], endpoints: string[], unasked: number}>}
 * @throws {ApiError}
 */
export const fetchStops = (signal) => fetchJson("vmdirac/ui/v1/stops", signal);

/**
 * What a stop would do.
 * @param {{pods: string[], endpoints: string[], states: string[], why: string, force: boolean}} wish
 * @returns {Promise<{stopped: number, instances: number[], jobs: number, untouched: number, what: string}>}
 * @throws {ApiError}
 */
export const previewStop = (wish) => post("vmdirac/ui/v1/stops", { ...wish, dry_run: true });

/**
 * Stops those of `instances` that still fit, if they are not too many.
 * @returns {Promise<{stopped: number, instances: number[], jobs: number, untouched: number, what: string}>}
 * @throws {ApiError}
 */
export const stopSelected = (wish) => post("vmdirac/ui/v1/stops", wish);

/**
 * Starts the DAG that asks for consent before it stops them, by Airflow's own interface.
 * @returns {Promise<{dag_run_id: string}>}
 * @throws {ApiError}
 */
export const askForConsent = (wish) =>
  post("api/v2/dags/vmdirac_stop/dagRuns", { logical_date: null, conf: wish });

const post = (path, body = {}) => fetchJson(path, null, { method: "POST", body: JSON.stringify(body) });

async function fetchJson(path, signal, options = {}) {
  const timeout = AbortSignal.timeout(ANSWER_MS);
  let response;
  let answer;
  try {
    response = await fetch(address(path), {
      cache: "no-store",
      ...options,
      headers: { Accept: "application/json", ...(options.body && { "Content-Type": "application/json" }) },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    if (response.status === 204) return null;
    answer = await response.text();
  } catch {
    throw new ApiError(Trouble.UNREACHABLE, 0);
  }
  try {
    answer = JSON.parse(answer);
  } catch {
    // A proxy's page, for instance; what it means is told by the status.
    answer = null;
  }
  if (response.ok && answer !== null) return answer;
  throw new ApiError(troubleOf(response.status, answer?.detail), response.status);
}

function troubleOf(status, detail) {
  // A token that was signed with another secret, before a restart perhaps, is answered with 403.
  if (status === 401 || (status === 403 && detail === "Invalid JWT token")) return Trouble.SESSION_OVER;
  if (status === 403) return Trouble.FORBIDDEN;
  // What a reverse proxy answers for an API server that is down; with a detail it is the server's own answer.
  if (detail === undefined && [502, 503, 504].includes(status)) return Trouble.UNREACHABLE;
  return Trouble.SERVER_ERROR;
}
