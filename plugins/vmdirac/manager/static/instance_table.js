/** The table of instances. On a narrow screen each line is a card of its own, in the same table. */

import { cellStyles } from "./cells.js";
import { COLUMNS } from "./columns.js";
import { ErrorDialog } from "./error_dialog.js";
import { age } from "./format.js";
import { ChakraUI, React, h } from "./host.js";

const { Button, Icon, Table, useRecipe, useTableStyles } = ChakraUI;

/** From this width on it is drawn as a table. Laid out as anything else it would not count as one: hence the roles. */
const WIDE = "md";

/** The scrolling part of Airflow's page has this padding at its top; the header is to stick above it. */
const STICKY_TOP = "calc(-1 * {spacing.3})";

const ROW_STYLES = {
  display: { base: "grid", [WIDE]: "table-row" },
  gridTemplateColumns: "repeat(6, minmax(0, 1fr))",
  py: { base: 1, [WIDE]: 0 },
  mb: { base: 2, [WIDE]: 0 },
  borderWidth: { base: 1, [WIDE]: 0 },
  borderRadius: { base: "md", [WIDE]: 0 },
};

const DATA_STYLES = {
  py: { base: 1, [WIDE]: 2 },
  verticalAlign: "middle",
  fontVariantNumeric: "tabular-nums",
  borderBottomWidth: { base: 0, [WIDE]: 1 },
  _empty: { display: { base: "none", [WIDE]: "table-cell" } },
  _before: {
    content: "attr(data-label)",
    display: { base: "block", [WIDE]: "none" },
    color: "fg.muted",
    fontSize: "xs",
  },
  "&.number": { textAlign: { [WIDE]: "end" } },
  "&.first": { order: -1 },
  ...Object.fromEntries([2, 3, 6].map((span) => [`&.span-${span}`, { gridColumn: `span ${span}` }])),
};

/**
 * @param {{instances: object[], asOf: string, view: object, pending: boolean, onSort: (column: object) => void}} props
 *   `asOf`: the moment from which ages are counted; `pending`: other lines than these have been asked for
 */
export function InstanceTable({ instances, asOf, view, pending, onSort }) {
  const [failed, setFailed] = React.useState(null);
  return h(
    Table.ScrollArea,
    // Where all columns fit, the header can stay in sight while the page scrolls.
    { overflow: { base: "visible", [WIDE]: "auto", xl: "visible" } },
    h(
      Table.Root,
      {
        role: "table",
        "aria-label": "Virtual machines",
        "aria-busy": pending,
        size: "sm",
        striped: { base: false, [WIDE]: true },
        stickyHeader: { base: false, xl: true },
        css: { "--table-sticky-offset": STICKY_TOP },
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
      h(Lines, { instances, asOf, onError: setFailed }),
    ),
    h(ErrorDialog, { instance: failed, onClose: () => setFailed(null) }),
  );
}

function Header({ view, onSort }) {
  return h(
    Table.Header,
    { role: "rowgroup", display: { base: "block", [WIDE]: "table-header-group" } },
    h(
      Table.Row,
      { role: "row", bg: "bg", display: { base: "flex", [WIDE]: "table-row" }, flexWrap: "wrap" },
      COLUMNS.map((column) => {
        const sorted = column.sort === view.sort;
        const order = view.descending ? "descending" : "ascending";
        return h(
          Table.ColumnHeader,
          {
            key: column.label,
            role: "columnheader",
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
      flexDirection: { base: "row", [WIDE]: column.number ? "row-reverse" : "row" },
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

/** Plain elements, with the styles that the host's table would give its own: a hundred lines take no second to draw. */
function Lines({ instances, asOf, onError }) {
  const { row, cell } = useTableStyles();
  const badge = useRecipe({ key: "badge" });
  const css = React.useMemo(
    () => ({
      "& tr": row,
      "& tr[data-instance]": ROW_STYLES,
      "& td": cell,
      "& td[data-label]": DATA_STYLES,
      ...cellStyles(badge({ variant: "surface", size: "sm" })),
    }),
    [row, cell, badge],
  );
  return h(
    Table.Body,
    { role: "rowgroup", display: { base: "block", [WIDE]: "table-row-group" }, css },
    instances.map((instance) => h(Line, { key: instance.id, instance, age: age(instance.updated_at, asOf), onError })),
  );
}

/** Made anew only when something in it changed. */
const Line = React.memo(
  ({ instance, age, onError }) =>
    h(
      "tr",
      { role: "row", "data-instance": instance.id },
      COLUMNS.map(({ label, span, number, first, show }) =>
        h(
          "td",
          {
            key: label,
            role: "cell",
            "data-label": label,
            className: [`span-${span}`, number && "number", first && "first"].filter(Boolean).join(" "),
          },
          show(instance, { age, onError }),
        ),
      ),
    ),
  (before, after) =>
    before.age === after.age &&
    Object.entries(after.instance).every(([name, value]) => before.instance[name] === value),
);
