/** What happened in all. */

import { cpu, duration, whole } from "./format.js";
import { h } from "./host.js";
import { Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { wordOf } from "./states.js";
import { DataTable } from "./table.js";

/** How each kind is called, and what its seconds are. Times in phases have a table of their own. */
const KINDS = Object.freeze({
  launch: { name: "VMs made" },
  launch_failure: { name: "Launches that failed" },
  delete_failure: { name: "Deletes that failed" },
  halt: { name: "VMs gone" },
  tick: { name: "Ticks", time: ({ seconds, count }) => `${duration(seconds / count)} each` },
  job: { name: "Jobs", time: ({ seconds }) => `${cpu(seconds)} of CPU` },
});

const COLUMNS = Object.freeze([
  {
    label: "What",
    span: 6,
    first: true,
    show: ({ kind, what }) => [KINDS[kind].name, what && wordOf(what)].filter(Boolean).join(": "),
  },
  { label: "How many", span: 3, number: true, width: "140px", show: ({ count }) => whole(count) },
  { label: "Time", span: 3, number: true, width: "180px", show: (row) => KINDS[row.kind].time?.(row) ?? "" },
]);

/** @param {{totals: object[]}} props as the interface tells them */
export function TotalTable({ totals }) {
  const shown = totals.filter(({ kind }) => kind in KINDS);
  return h(
    Section,
    { id: "totals", title: "What happened, last 7 days" },
    shown.length === 0
      ? h(Notice, { title: "Nothing has been counted in this time" })
      : h(Foldable, { rows: shown, noun: "counts" }, (rows) =>
          h(DataTable, {
            label: "What happened",
            columns: COLUMNS,
            rows,
            keyOf: ({ kind, what }) => `${kind} ${what}`,
            minWidth: "500px",
          }),
        ),
  );
}
