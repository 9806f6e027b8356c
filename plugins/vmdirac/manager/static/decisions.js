/** What the last tick decided, one line a pod and endpoint: filtered, sorted and cut into pages by the server. */

import { NONE, Says, State } from "./cells.js";
import { cpu, short, whole } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { Notice } from "./notices.js";
import { Section } from "./section.js";
import { DEFAULT_VIEW } from "./scheduling_view.js";
import { LIMITS } from "./states.js";
import { DataTable } from "./table.js";
import { PagingBar, rangeOf } from "./toolbar.js";
import { sortedBy } from "./view.js";

const { Button, Flex, Input, Spacer, Stack, Text } = ChakraUI;

const TYPING_MS = 300;

const number = (label, sort, width, meaning, show = (row) => short(row[sort])) => ({
  label,
  sort,
  natural: "descending",
  number: true,
  span: 2,
  width,
  meaning,
  show: (row) => (row[sort] === 0 ? h("span", { className: "none" }, "0") : show(row)),
});

const COLUMNS = Object.freeze([
  {
    label: "Pod",
    sort: "pod",
    natural: "ascending",
    span: 3,
    width: "140px",
    show: ({ pod }) => h(Name, { text: pod }),
  },
  {
    label: "Endpoint",
    sort: "endpoint",
    natural: "ascending",
    span: 3,
    width: "155px",
    show: ({ endpoint }) => (endpoint ? h(Name, { text: endpoint }) : h("span", { className: "none" }, "all")),
  },
  number("Jobs", "jobs", "56px", "waiting jobs that match there"),
  number("CPU", "waiting_cpu", "68px", "CPU time that these jobs ask for", (row) => cpu(row.waiting_cpu)),
  number("Active", "active", "62px", "VMs of the pod there, from New to Running"),
  number("In flight", "in_flight", "68px", "those of them that have not called in yet"),
  number("Warranted", "warranted", "80px", "VMs that the pod as a whole was worth, before limits"),
  number("Planned", "planned", "70px", "VMs to be started there"),
  number("Launched", "launched", "78px", "VMs that the cloud took"),
  number("Failed", "failed", "62px", "launches that the cloud refused", ({ failed }) =>
    h("b", { className: "bad" }, whole(failed)),
  ),
  {
    label: "Clipped by",
    sort: "attention",
    natural: "descending",
    span: 6,
    first: true,
    width: "118px",
    meaning: "what kept more VMs from being started; sorted by what needs attention",
    show: ({ clipped_by: limit }) => (limit ? h(State, { state: limit, states: LIMITS }) : NONE),
  },
  {
    label: "Reasons",
    span: 6,
    show: ({ reasons, clipped_by: limit }, { onRead }) =>
      reasons.map((text, place) => h(Says, { key: place, text, bad: limit === "invalid", onOpen: onRead })),
  },
]);

const Name = ({ text }) => h("bdi", { className: "name" }, text);

const MARKS = { invalid: "bad", held: "warn", probing: "warn" };

/** @param {object} props `planned`: whether there was a tick that could decide anything */
export const Decisions = React.forwardRef(({ table, planned, view, pending, change, onRead }, ref) => {
  const none = table.total === 0 && !pending;
  return h(
    Section,
    { ref, id: "vmdirac-decisions", title: "Decisions of the last tick", count: none ? null : table.total },
    none && !view.text
      ? h(
          Notice,
          { title: planned ? "The last tick had nothing to decide" : "Nothing has been decided yet" },
          h(
            Text,
            null,
            "Each running pod on each of its endpoints has a line here: what was wanted, and why not more.",
          ),
        )
      : h(
          Stack,
          { gap: 3 },
          h(
            Flex,
            { align: "center", gap: 3, wrap: "wrap" },
            h(Filter, { text: view.text, onChange: (text) => change({ text, page: 1 }, { replace: true }) }),
            h(Spacer),
            h(
              Text,
              { role: "status", color: "fg.muted", fontSize: "sm" },
              pending ? "" : rangeOf(view, table.total, "decision"),
            ),
          ),
          none
            ? h(
                Notice,
                { title: `No pod and no endpoint is called like “${view.text}”` },
                h(Button, { variant: "outline", onClick: () => change({ text: "", page: 1 }) }, "Show all"),
              )
            : h(DataTable, {
                label: "Decisions",
                columns: COLUMNS,
                rows: table.decisions,
                keyOf: ({ pod, endpoint }) => JSON.stringify([pod, endpoint]),
                markOf: ({ clipped_by: limit, failed }) => MARKS[limit] ?? (failed > 0 ? "warn" : undefined),
                actions: { onRead },
                minWidth: "1180px",
                tall: true,
                dense: true,
                pending,
                view,
                onSort: (column) => change(sortedBy(view, column, DEFAULT_VIEW)),
              }),
          table.total > 25 && h(PagingBar, { view, total: table.total, onChange: change }),
        ),
  );
});

/** A field whose text is taken over when the user stops typing. */
function Filter({ text, onChange }) {
  const [typed, setTyped] = React.useState(text);
  const latest = React.useRef(onChange);
  latest.current = onChange;
  // The address changes without the field too: by a link, or by going back.
  React.useEffect(() => setTyped(text), [text]);
  React.useEffect(() => {
    if (typed.trim() === text) return undefined;
    const timer = setTimeout(() => latest.current(typed.trim()), TYPING_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  return h(Input, {
    type: "search",
    size: "sm",
    width: { base: "full", md: "320px" },
    maxLength: 400,
    "aria-label": "Filter by pod or endpoint",
    placeholder: "Filter by pod or endpoint",
    value: typed,
    onChange: (event) => setTyped(event.target.value),
  });
}
