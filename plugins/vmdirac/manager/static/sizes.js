/** How large our tables are. */

import { whole } from "./format.js";
import { h } from "./host.js";
import { Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { DataTable } from "./table.js";

const COLUMNS = Object.freeze([
  { label: "Table", span: 6, first: true, show: ({ table }) => table },
  { label: "Rows", span: 6, number: true, width: "180px", show: ({ rows }) => whole(rows) },
]);

/** @param {{sizes: {tables: object[], counted_at: string | null}}} props as the interface tells them */
export const SizeTable = ({ sizes: { tables, counted_at: at } }) =>
  h(
    Section,
    { id: "sizes", title: at ? `Rows in our tables, counted ${at.slice(0, 16).replace("T", " ")} UTC` : "Rows in our tables" },
    tables.length === 0
      ? h(Notice, { title: "They have not been counted yet: vmdirac_housekeeping does, once an hour" })
      : h(Foldable, { rows: tables, noun: "tables" }, (rows) =>
          h(DataTable, { label: "Table sizes", columns: COLUMNS, rows, keyOf: ({ table }) => table, minWidth: "400px" }),
        ),
  );
