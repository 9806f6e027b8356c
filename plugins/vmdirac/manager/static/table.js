/** The table of instances. On a narrow screen each line is a card of its own, in the same table. */

import { ErrorText, NONE, OneLine, Status, Time } from "./cells.js";
import { age, load, uptime } from "./format.js";
import { ChakraUI, React, h } from "./host.js";

const { Button, Icon, Table } = ChakraUI;

const WIDE = "md";

/** A VM that never called in has told no measurements. */
const measured = (instance, shown) => (instance.heard_at === null ? NONE : shown);

const COLUMNS = [
  { label: "Image", sort: "image", show: ({ image }) => h(OneLine, { text: image }) },
  { label: "Pod", sort: "pod", show: ({ pod }) => h(OneLine, { text: pod }) },
  { label: "Endpoint", sort: "endpoint", show: ({ endpoint }) => h(OneLine, { text: endpoint }) },
  { label: "Status", sort: "status", width: "155px", show: (instance) => h(Status, { instance }) },
  {
    label: "VM id",
    sort: "cloud_id",
    show: ({ cloud_id: id, name }) => h(OneLine, { text: id, title: `${id}\nname: ${name}`, mono: true }),
  },
  {
    label: "IP",
    width: "104px",
    show: ({ public_ip: outer, private_ip: inner }) =>
      h(OneLine, { text: outer || inner, title: outer && inner ? `${outer}, inside ${inner}` : undefined, mono: true }),
  },
  {
    label: "Load",
    sort: "load",
    natural: "descending",
    number: true,
    width: "60px",
    show: (instance) => measured(instance, load(instance.load)),
  },
  {
    label: "Uptime",
    sort: "uptime",
    natural: "descending",
    number: true,
    width: "80px",
    show: (instance) => measured(instance, uptime(instance.uptime)),
  },
  {
    label: "Jobs",
    sort: "jobs",
    natural: "descending",
    number: true,
    width: "60px",
    show: (instance) => measured(instance, instance.jobs),
  },
  {
    label: "Last update (UTC)",
    sort: "updated_at",
    natural: "descending",
    width: "151px",
    show: ({ updated_at: iso }, { age }) => h(Time, { iso, age }),
  },
  { label: "Error", rare: true, show: ({ error_message: text }) => h(ErrorText, { text }) },
].map((column) => ({ natural: "ascending", ...column }));

/**
 * @param {{instances: object[], asOf: string, view: object, pending: boolean, onSort: (column: object) => void}} props
 *   `asOf`: the moment from which ages are counted; `pending`: other lines than these have been asked for
 */
export function InstanceTable({ instances, asOf, view, pending, onSort }) {
  return h(
    Table.ScrollArea,
    {
      // Where all columns fit, the header can stay in sight while the page scrolls.
      overflow: { base: "visible", [WIDE]: "auto", xl: "visible" },
    },
    h(
      Table.Root,
      {
        "aria-label": "Virtual machines",
        "aria-busy": pending,
        size: "sm",
        striped: true,
        stickyHeader: { base: false, xl: true },
        opacity: pending ? 0.6 : 1,
        // Columns that keep their width whatever comes: nothing jumps when the data changes.
        tableLayout: "fixed",
        minW: { [WIDE]: "1150px" },
        display: { base: "block", [WIDE]: "table" },
      },
      h(
        Table.ColumnGroup,
        { display: { base: "none", [WIDE]: "table-column-group" } },
        COLUMNS.map(({ label, width }) => h(Table.Column, { key: label, htmlWidth: width })),
      ),
      h(Header, { view, onSort }),
      h(
        Table.Body,
        { display: { base: "block", [WIDE]: "table-row-group" } },
        instances.map((instance) => h(Row, { key: instance.id, instance, age: age(instance.updated_at, asOf) })),
      ),
    ),
  );
}

function Header({ view, onSort }) {
  return h(
    Table.Header,
    { display: { base: "block", [WIDE]: "table-header-group" } },
    h(
      Table.Row,
      { bg: "bg", display: { base: "flex", [WIDE]: "table-row" }, flexWrap: "wrap" },
      COLUMNS.map((column) => {
        const sorted = column.sort === view.sort;
        const order = view.descending ? "descending" : "ascending";
        return h(
          Table.ColumnHeader,
          {
            key: column.label,
            "aria-sort": column.sort && (sorted ? order : "none"),
            textAlign: column.number ? "end" : "start",
            whiteSpace: "nowrap",
            py: { base: 1, [WIDE]: 2 },
            border: { base: 0, [WIDE]: undefined },
            display: column.sort ? undefined : { base: "none", [WIDE]: "table-cell" },
          },
          column.sort
            ? h(SortButton, { column, order: sorted ? order : null, onClick: () => onSort(column) })
            : column.label,
        );
      }),
    ),
  );
}

function SortButton({ column, order, onClick }) {
  return h(
    Button,
    {
      variant: "plain",
      onClick,
      height: "auto",
      minW: 0,
      p: 0,
      border: 0,
      gap: 1,
      color: order ? "brand.fg" : "inherit",
      flexDirection: column.number ? "row-reverse" : "row",
      _hover: { color: "brand.fg" },
    },
    column.label,
    h(
      Icon,
      { boxSize: 2, opacity: order ? 1 : 0.5, "aria-hidden": true },
      h(
        "svg",
        { viewBox: "0 0 8 12", fill: "currentColor" },
        order !== "descending" && h("path", { d: "M0 5 4 0l4 5z" }),
        order !== "ascending" && h("path", { d: "M0 7l4 5 4-5z" }),
      ),
    ),
  );
}

/** A line is made anew only when something in it changed: it keeps what the user has selected, and costs nothing. */
const Row = React.memo(
  function Row({ instance, age }) {
    return h(
      Table.Row,
      {
        "data-instance": instance.id,
        display: { base: "grid", [WIDE]: "table-row" },
        gridTemplateColumns: "repeat(6, minmax(0, 1fr))",
        py: { base: 1, [WIDE]: 0 },
        borderWidth: { base: 1, [WIDE]: 0 },
        borderRadius: { base: "md", [WIDE]: 0 },
        mb: { base: 2, [WIDE]: 0 },
      },
      COLUMNS.map(({ label, number, rare, show }) =>
        h(
          Table.Cell,
          {
            key: label,
            "data-label": label,
            textAlign: { base: "start", [WIDE]: number ? "end" : "start" },
            fontVariantNumeric: "tabular-nums",
            py: { base: 1, [WIDE]: 2 },
            verticalAlign: "middle",
            border: { base: 0, [WIDE]: undefined },
            hideBelow: rare && !instance.error_message ? WIDE : undefined,
            gridColumn: `span ${rare ? 6 : number ? 2 : 3}`,
            order: label === "Status" || label === "VM id" ? -1 : undefined,
            _before: {
              content: "attr(data-label)",
              display: { base: "block", [WIDE]: "none" },
              color: "fg.muted",
              fontSize: "xs",
            },
          },
          show(instance, { age }),
        ),
      ),
    );
  },
  (before, after) =>
    before.age === after.age && Object.entries(after.instance).every(([name, value]) => before.instance[name] === value),
);
