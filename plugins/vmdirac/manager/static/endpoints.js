/** The table of endpoints: their VMs, their last list, and what holds launches there. */

import { NONE, Says, State } from "./cells.js";
import { age, ahead, clock, count, dateAndTime, whole } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Inside, Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { HOLDS } from "./states.js";
import { DataTable } from "./table.js";

const { Button, Code, Text } = ChakraUI;

const COLUMNS = Object.freeze([
  {
    label: "Endpoint",
    span: 3,
    width: "170px",
    show: ({ name }) => h("bdi", { className: "name" }, name),
  },
  {
    label: "VMs",
    span: 3,
    number: true,
    width: "60px",
    meaning: "VMs of ours that hold places there",
    show: ({ vms }) => whole(vms),
  },
  {
    label: "Account",
    span: 6,
    width: "150px",
    meaning: "what is used of the limits that the cloud tells, ours and others' together",
    show: (row, { onRead }) => h(Account, { row, onRead }),
  },
  {
    label: "Last complete list (UTC)",
    span: 6,
    width: "190px",
    show: (row, { onRead }) => h(List, { row, onRead }),
  },
  {
    label: "Unknown VMs",
    span: 3,
    number: true,
    width: "110px",
    meaning: "VMs of this installation in the last list that the database does not know",
    show: ({ unknown_vms: unknown, list_began_at: listed }) =>
      listed === null ? NONE : unknown > 0 ? h("b", { className: "bad" }, whole(unknown)) : "0",
  },
  {
    label: "Held launches and problems",
    span: 6,
    show: ({ problems, holds }, { onRead }) => [
      problems.map((text) => h(Says, { key: text, text, bad: true, onOpen: onRead })),
      holds.map((hold) => h(Hold, { key: [hold.kind, hold.pod, hold.flavor, hold.since].join(), hold, onRead })),
      problems.length + holds.length === 0 && h("span", { key: "none", className: "quiet" }, "none"),
    ],
  },
  {
    label: "Action",
    span: 6,
    width: "110px",
    show: ({ name, holds, mayAct, busy }, { onResume }) =>
      mayAct && holds.length > 0
        ? h(
            Button,
            {
              size: "xs",
              variant: "outline",
              "aria-label": `Resume launches on ${name}`,
              title: "Forget what went wrong: the next tick tries again",
              loading: busy,
              onClick: () => onResume(name),
            },
            "Resume",
          )
        : null,
  },
]);

/** @param {{overview: object, busy: string | null, onRead: function, onResume: (name: string) => void}} props */
export function EndpointTable({ overview: { endpoints, as_of: asOf, may_act: mayAct }, busy, onRead, onResume }) {
  return h(
    Section,
    { id: "vmdirac-endpoints", title: "Endpoints", count: endpoints.length || null },
    endpoints.length === 0
      ? h(
          Notice,
          { title: "No endpoint has been used yet" },
          h(
            Text,
            null,
            "An endpoint is a connection of a ",
            h(Code, null, "vmdirac_…"),
            " type in ",
            h(Inside, { to: "/connections" }, "Admin > Connections"),
            " that a running pod names.",
          ),
        )
      : h(Foldable, {
          rows: endpoints,
          noun: "endpoints",
          children: (rows) =>
            h(DataTable, {
              label: "Endpoints",
              columns: COLUMNS,
              rows: rows.map((row) => shown(row, asOf, mayAct, busy === `endpoint ${row.name}`)),
              keyOf: ({ name }) => name,
              markOf: ({ problems, holds, list_error: error }) =>
                problems.length > 0 || error ? "bad" : holds.length > 0 ? "warn" : undefined,
              actions: { onRead, onResume },
              minWidth: "1080px",
              tall: true,
            }),
        }),
  );
}

/** All that the line shows: ages are counted here, so that it is drawn anew when they change. */
const shown = (row, asOf, mayAct, busy) => ({
  ...row,
  age: row.list_began_at && age(row.list_began_at, asOf),
  holds: row.holds.map((hold) => ({ ...hold, age: age(hold.since, asOf), left: ahead(hold.until, asOf) })),
  mayAct,
  busy,
});

function Account({ row: { limits, limits_error: error }, onRead }) {
  if (limits.length === 0 && !error) return NONE;
  return [
    limits.map(({ measure, limit, ours, others }) =>
      h(
        "div",
        { key: measure, className: ours + others >= limit ? "says bad" : "says" },
        `${whole(ours + others)} of ${whole(limit)} ${measure}`,
        others > 0 && h("span", { className: "quiet" }, ` ${whole(others)} others'`),
      ),
    ),
    error && h(Says, { key: "error", text: `not told any more: ${error}`, bad: true, onOpen: onRead }),
  ];
}

function List({ row, onRead }) {
  const { list_began_at: listed, listed_vms: vms, list_error: error, age: since } = row;
  return [
    listed === null
      ? h("div", { key: "never", className: "says" }, "never")
      : h("time", { key: "time", dateTime: listed }, dateAndTime(listed)),
    listed !== null && h("div", { key: "more", className: "quiet" }, `${since}, ${count(vms, "VM")}`),
    error && h(Says, { key: "error", text: `the one after it failed: ${error}`, bad: true, onOpen: onRead }),
  ];
}

/** Lack of room forbids no launch. */
const IS = { capacity: "avoided" };

function Hold({ hold, onRead }) {
  const { kind, pod, flavor, since, until, failures, message, run_out: runOut, age: old, left } = hold;
  const narrowed = [pod && `pod ${pod}`, flavor && `flavor ${flavor}`].filter(Boolean).join(", ");
  const told = [narrowed || "all launches", `since ${clock(since)}, ${old}`, count(failures, "failure")];
  return h(
    "div",
    { className: "item" },
    h(State, { state: kind, states: HOLDS }),
    " ",
    h("b", null, runOut ? "waits for a probe" : (IS[kind] ?? "held")),
    !runOut && ` until ${clock(until)}, ${left}`,
    h("div", { className: "quiet" }, h("bdi", null, told.join(" · "))),
    h(Says, { text: message, onOpen: onRead }),
  );
}
