/** Stopping several instances that have something in common, after a look at what it would do. */

import { ApiError, askForConsent, fetchStops, previewStop, stopSelected } from "./api.js";
import { FormDialog } from "./form_dialog.js";
import { count } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { Inside, TroubleNotice } from "./notices.js";
import { UNFINISHED } from "./states.js";
import { ForceField, WhyField } from "./stop_fields.js";
import { Choice } from "./toolbar.js";

const { Alert, Box, Button, Text } = ChakraUI;

const ANY = "any";
const NOTHING_YET = Object.freeze({ pod: ANY, endpoint: ANY, state: ANY, why: "", force: false });

/**
 * The button, the dialog, and what came of it, for whoever may.
 * @param {{summary: {may_stop: boolean}, refresh: () => void}} props
 */
export function MassStop({ summary, refresh }) {
  const [open, setOpen] = React.useState(false);
  const [outcome, setOutcome] = React.useState(null);
  if (!summary.may_stop) return null;
  const close = (what) => {
    setOpen(false);
    setOutcome(what ?? null);
    refresh();
  };
  return h(
    React.Fragment,
    null,
    h(Button, { size: "xs", variant: "outline", onClick: () => setOpen(true) }, "Stop several…"),
    outcome && h(Outcome, outcome),
    open && h(Ask, { onDone: close }),
  );
}

/** What was done, in a few words, and where it goes on. */
const Outcome = ({ text, to }) =>
  h(Text, { role: "status", fontSize: "sm" }, to ? h(Inside, { to }, text) : text);

function Ask({ onDone }) {
  const [choices, setChoices] = React.useState({ pods: [], endpoints: [], unasked: 0 });
  const [form, setForm] = React.useState(NOTHING_YET);
  const [found, setFound] = React.useState(null);
  const [error, setError] = React.useState(null);
  const [busy, setBusy] = React.useState(false);

  React.useEffect(() => {
    const leave = new AbortController();
    fetchStops(leave.signal).then(setChoices, (problem) => leave.signal.aborted || setError(problem));
    return () => leave.abort();
  }, []);

  // What was looked at is not what would be stopped any more.
  const change = (changes) => {
    setForm({ ...form, ...changes });
    setFound(null);
    setError(null);
  };
  const says = form.why.trim() && [form.pod, form.endpoint, form.state].some((value) => value !== ANY);
  const many = found !== null && found.stopped > choices.unasked;
  const act = async () => {
    setBusy(true);
    setError(null);
    try {
      if (found === null) setFound(await previewStop(wishOf(form)));
      else onDone(await (many ? askedFor : stopped)({ ...wishOf(form), instances: found.instances }));
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      setFound(null);
      setError(problem);
    } finally {
      setBusy(false);
    }
  };
  const label = found === null ? "What would be stopped?" : many ? "Ask for consent" : `Stop ${vms(found.stopped)}`;
  return h(
    FormDialog,
    {
      title: "Stop several virtual machines",
      open: true,
      send: {
        label,
        loading: busy,
        disabled: !says || (found !== null && found.stopped === 0),
        colorPalette: found !== null && form.force ? "red" : undefined,
      },
      onSend: act,
      onClose: () => onDone(),
    },
    h(Text, { fontSize: "sm" }, "All those that fit all that is chosen:"),
    h(Choice, { label: "Pod", value: form.pod, options: optionsOf(choices.pods), onChange: (pod) => change({ pod }) }),
    h(Choice, {
      label: "Endpoint",
      value: form.endpoint,
      options: optionsOf(choices.endpoints),
      onChange: (endpoint) => change({ endpoint }),
    }),
    h(Choice, {
      label: "State",
      value: form.state,
      options: optionsOf(UNFINISHED),
      onChange: (state) => change({ state }),
    }),
    h(WhyField, { value: form.why, onChange: (why) => change({ why }) }),
    h(ForceField, { checked: form.force, onChange: (force) => change({ force }) }),
    found && h(Found, { found, many, unasked: choices.unasked }),
    error && h(Problem, { error }),
  );
}

/** What would be done, in the words of whoever would do it. */
const Found = ({ found: { what }, many, unasked }) =>
  h(
    Box,
    { role: "status", fontSize: "sm" },
    h(Box, { whiteSpace: "pre-wrap", overflowWrap: "anywhere" }, h("bdi", null, what)),
    many && h(Text, { mt: 2 }, `They are more than ${unasked}: somebody has to agree first.`),
  );

const PROBLEMS = Object.freeze({
  403: "You may not do this",
  404: "There is no DAG vmdirac_stop here, which would ask for consent",
});

function Problem({ error }) {
  const title = PROBLEMS[error.status];
  if (!title) return h(TroubleNotice, { error, asOf: null });
  return h(Alert.Root, { status: "error", role: "alert" }, h(Alert.Indicator), h(Alert.Title, null, title));
}

const wishOf = ({ pod, endpoint, state, why, force }) => ({
  pods: pod === ANY ? [] : [pod],
  endpoints: endpoint === ANY ? [] : [endpoint],
  states: state === ANY ? [] : [state],
  why: why.trim(),
  force,
});

async function stopped(wish) {
  const answer = await stopSelected(wish);
  return { text: `${vms(answer.stopped)} being stopped.` };
}

async function askedFor(wish) {
  const { dag_run_id: run } = await askForConsent(wish);
  return { text: "Consent is asked for.", to: `/dags/vmdirac_stop/runs/${encodeURIComponent(run)}` };
}

const vms = (number) => count(number, "VM");

const optionsOf = (names) => [[ANY, "any"], ...names.map((name) => [name, name])];
