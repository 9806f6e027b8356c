/** The table of running pods. */

import { NONE, Says, State } from "./cells.js";
import { count, whole } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { POD_STATES, STATUSES, wordOf } from "./states.js";
import { DataTable } from "./table.js";

const { Code, Text } = ChakraUI;

const COLUMNS = Object.freeze([
  {
    label: "Pod",
    span: 3,
    width: "190px",
    show: ({ name }, { onDecisions }) =>
      h(
        "div",
        { className: "name" },
        h("bdi", null, name),
        h(
          "div",
          { className: "quiet" },
          h(
            "button",
            {
              type: "button",
              className: "link",
              "aria-label": `Decisions for ${name}`,
              onClick: () => onDecisions(name),
            },
            "decisions",
          ),
        ),
      ),
  },
  { label: "State", span: 3, width: "110px", show: ({ status }) => h(State, { state: status, states: POD_STATES }) },
  {
    label: "Campaign (UTC)",
    span: 3,
    width: "180px",
    // Of a pod that cannot be read they are not known.
    show: ({ status, campaign_start: start, campaign_end: end }) =>
      status === "Error" && !start && !end ? NONE : campaign(start, end),
  },
  { label: "VMs now", span: 3, width: "190px", show: ({ vms }) => h(Vms, { vms }) },
  {
    label: "What the last tick decided",
    span: 6,
    show: ({ error_message: error, decision }, { onRead }) => h(Decided, { error, decision, onRead }),
  },
]);

/** @param {{pods: object[], onRead: (text: string) => void, onDecisions: (name: string) => void}} props */
export function PodTable({ pods, onRead, onDecisions }) {
  return h(
    Section,
    { id: "vmdirac-pods", title: "Running pods", count: pods.length || null },
    pods.length === 0
      ? h(
          Notice,
          { title: "No running pod has been configured yet" },
          h(
            Text,
            null,
            "Pods are entries of the variable ",
            h(Code, null, "vmdirac_running_pods"),
            "; the next tick shows them here. If it is set already, ",
            h(Code, null, "vmdirac validate"),
            " tells what is wrong with it.",
          ),
        )
      : h(Foldable, {
          rows: pods,
          noun: "running pods",
          children: (rows) =>
            h(DataTable, {
              label: "Running pods",
              columns: COLUMNS,
              rows,
              keyOf: ({ name }) => name,
              markOf: ({ status }) => (status === "Error" ? "bad" : undefined),
              actions: { onRead, onDecisions },
              minWidth: "980px",
              tall: true,
            }),
        }),
  );
}

function campaign(start, end) {
  if (start && end) return `${start} to ${end}`;
  if (start) return `from ${start}`;
  return end ? `until ${end}` : "always";
}

function Vms({ vms }) {
  const states = STATUSES.filter((state) => vms[state]);
  if (states.length === 0) return NONE;
  const each = states.map((state) => `${whole(vms[state])} ${wordOf(state)}`);
  return [
    h("b", { key: "all" }, whole(states.reduce((sum, state) => sum + vms[state], 0))),
    h("div", { key: "each", className: "quiet" }, each.join(", ")),
  ];
}

function Decided({ error, decision, onRead }) {
  const said = decision === null ? [] : decision.said.filter(({ sentence }) => sentence !== error);
  return [
    error && h(Says, { key: "error", text: error, bad: true, onOpen: onRead }),
    decision !== null && decision.warranted + decision.planned + decision.failed > 0
      ? h("div", { key: "numbers", className: "says" }, h("b", null, numbers(decision)))
      : null,
    said.map(({ sentence, endpoints }) =>
      h(Says, {
        key: sentence,
        text: sentence,
        more: endpoints.length > 0 ? `on ${few(endpoints)}` : "",
        onOpen: onRead,
      }),
    ),
    !error && decision === null && h("span", { key: "none", className: "quiet" }, "not part of the last tick"),
  ];
}

function numbers({ warranted, planned, launched, failed }) {
  const parts = [`${count(warranted, "VM")} warranted`, `${whole(planned)} planned`, `${whole(launched)} launched`];
  return [...parts, ...(failed ? [`${whole(failed)} failed`] : [])].join(", ");
}

function few(names) {
  const rest = names.length - 3;
  return names.slice(0, 3).join(", ") + (rest > 0 ? ` and ${whole(rest)} more` : "");
}
