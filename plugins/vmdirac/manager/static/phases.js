/** The phases of VMs' lives, and how long VMs stay in them. */

import { NONE, OneLine, Time } from "./cells.js";
import { duration, whole } from "./format.js";
import { h } from "./host.js";
import { Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { PHASES, wordOf } from "./states.js";
import { DataTable } from "./table.js";

const PhaseName = ({ phase }) => h("span", { title: PHASES[phase] }, wordOf(phase));

const time = (label, meaning, key) => ({
  label,
  span: 2,
  number: true,
  width: "90px",
  meaning,
  show: (row) => duration(row[key]),
});

const SPREADS = Object.freeze([
  { label: "Pod", span: 3, first: true, show: ({ pod }) => h(OneLine, { text: pod || "(tasks)" }) },
  { label: "Endpoint", span: 3, show: ({ endpoint }) => h(OneLine, { text: endpoint }) },
  { label: "Phase", span: 3, width: "180px", show: ({ phase }) => h(PhaseName, { phase }) },
  {
    label: "Stays",
    span: 3,
    number: true,
    width: "90px",
    meaning: "how many ended in that time",
    show: ({ count }) => whole(count),
  },
  time("p50", "half of the stays were not longer", "p50"),
  time("p90", "nine of ten were not longer", "p90"),
  time("p99", "99 of 100 were not longer", "p99"),
]);

/** @param {{times: object}} props `times`: as the interface tells them */
export function PhaseTable({ times: { phases, instances, complete } }) {
  const of = complete ? "" : `, of the ${whole(instances)} newest VMs`;
  return h(
    Section,
    { id: "phase-times", title: `Time in phases, last 7 days${of}` },
    phases.length === 0
      ? h(Notice, { title: "No VM has left a phase of its life in this time" })
      : h(Foldable, { rows: phases, noun: "phases" }, (rows) =>
          h(DataTable, {
            label: "Time in phases",
            columns: SPREADS,
            rows,
            keyOf: ({ pod, endpoint, phase }) => `${pod} ${endpoint} ${phase}`,
            minWidth: "760px",
          }),
        ),
  );
}

const STAYS = Object.freeze([
  { label: "Since (UTC)", span: 3, width: "178px", show: ({ began, age }) => h(Time, { iso: began, age }) },
  { label: "Phase", span: 3, width: "178px", first: true, show: ({ phase }) => h(PhaseName, { phase }) },
  { label: "For", span: 6, show: ({ seconds, ended }) => `${duration(seconds)}${ended ? "" : " so far"}` },
]);

/** @param {{stays: object[]}} props of one instance, with their ages */
export const StayTable = ({ stays }) =>
  stays.length === 0
    ? NONE
    : h(DataTable, {
        label: "Phases",
        columns: STAYS,
        rows: stays,
        keyOf: ({ began, phase }) => `${began} ${phase}`,
        minWidth: "500px",
      });
