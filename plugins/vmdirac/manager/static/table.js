/** Tables of the page. On a narrow screen each line is a card of its own, in the same table. */

import { cellStyles } from "./cells.js";
import { ChakraUI, React, h } from "./host.js";
import { SortButton } from "./sort_button.js";

const { Table, useRecipe, useTableStyles } = ChakraUI;

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

/** The edge of lines that somebody should look at. */
const MARKS = { bad: "failed.solid", warn: "up_for_retry.solid" };

const DATA_STYLES = {
  py: { base: 1, [WIDE]: 2 },
  verticalAlign: "middle",
  "&.tall": { verticalAlign: "top", whiteSpace: "normal" },
  fontVariantNumeric: "tabular-nums",
  borderBottomWidth: { base: 0, [WIDE]: 1 },
  _empty: { display: { base: "none", [WIDE]: "table-cell" } },
  _before: {
    content: "attr(data-label)",
    display: { base: "block", [WIDE]: "none" },
    color: "fg.muted",
    fontSize: "xs",
  },
  "&.number": { textAlign: { [WIDE]: "end" }, whiteSpace: "nowrap" },
  "&.first": { order: -1 },
  ...Object.fromEntries([2, 3, 6].map((span) => [`&.span-${span}`, { gridColumn: `span ${span}` }])),
};

/**
 * @param {object} props
 * @param {string} props.label the table's name
 * @param {object[]} props.columns `label`; `sort`: what the interface calls the column, where the table can be sorted
 *   by it, and `natural`: the order that is wanted first; `width`: where the contents are always as wide; `span`:
 *   sixths of a card's width on a narrow screen; `first`: at its head there; `number`: aligned at the end; `meaning`:
 *   a title of its header; `show(row, actions)`: the contents of its cell
 * @param {object[]} props.rows all that their cells show; a line is drawn anew only when something in its row changed
 * @param {(row: object) => string | number} props.keyOf
 * @param {object} props.actions what can be done in the cells; always the same functions
 * @param {(row: object) => "bad" | "warn" | undefined} props.markOf which lines somebody should look at
 * @param {string} props.minWidth of the table where it is drawn as one
 * @param {boolean} props.tall whether cells have several lines, which then begin at the same height
 * @param {boolean} props.dense whether there are so many columns that their names are written small
 * @param {boolean} props.sticky whether the header stays in sight while the page scrolls
 * @param {boolean} props.pending other lines than these have been asked for
 * @param {object} props.view how the table is sorted; absent where it can't be
 * @param {(column: object) => void} props.onSort
 */
export function DataTable({
  label,
  columns,
  rows,
  keyOf,
  actions,
  markOf = () => undefined,
  minWidth,
  tall = false,
  dense = false,
  sticky = false,
  pending = false,
  view = {},
  onSort,
}) {
  return h(
    Table.ScrollArea,
    // Where all columns fit, the header can stay in sight while the page scrolls.
    { overflow: { base: "visible", [WIDE]: "auto", xl: sticky ? "visible" : "auto" } },
    h(
      Table.Root,
      {
        role: "table",
        "aria-label": label,
        "aria-busy": pending,
        size: "sm",
        striped: { base: false, [WIDE]: true },
        stickyHeader: { base: false, xl: sticky },
        css: { "--table-sticky-offset": STICKY_TOP },
        opacity: pending ? 0.6 : 1,
        // Columns that keep their width whatever comes: nothing jumps when the data changes.
        tableLayout: "fixed",
        minW: { [WIDE]: minWidth },
        display: { base: "block", [WIDE]: "table" },
      },
      h(
        Table.ColumnGroup,
        { display: { base: "none", [WIDE]: "table-column-group" } },
        columns.map(({ label, width }) => h(Table.Column, { key: label, htmlWidth: width })),
      ),
      h(Header, { columns, dense, view, onSort }),
      h(Lines, { columns, rows, keyOf, actions, markOf, tall }),
    ),
  );
}

function Header({ columns, dense, view, onSort }) {
  return h(
    Table.Header,
    { role: "rowgroup", display: { base: "block", [WIDE]: "table-header-group" } },
    h(
      Table.Row,
      { role: "row", bg: "bg", display: { base: "flex", [WIDE]: "table-row" }, flexWrap: "wrap" },
      columns.map((column) => {
        const sorted = column.sort && column.sort === view.sort;
        const order = view.descending ? "descending" : "ascending";
        return h(
          Table.ColumnHeader,
          {
            key: column.label,
            role: "columnheader",
            "aria-sort": column.sort && (sorted ? order : "none"),
            title: column.meaning,
            textAlign: column.number ? "end" : "start",
            fontSize: dense ? "xs" : undefined,
            px: dense && column.number ? 1.5 : undefined,
            whiteSpace: "nowrap",
            py: { base: 1, [WIDE]: 2 },
            border: { base: 0, [WIDE]: undefined },
            display: column.sort ? undefined : { base: "none", [WIDE]: "table-cell" },
          },
          column.sort
            ? h(SortButton, { column, order: sorted ? order : null, wide: WIDE, onClick: () => onSort(column) })
            : column.label,
        );
      }),
    ),
  );
}

/** Plain elements, with the styles that the host's table would give its own: a hundred lines take no second to draw. */
function Lines({ columns, rows, keyOf, actions, markOf, tall }) {
  const { row, cell } = useTableStyles();
  const badge = useRecipe({ key: "badge" });
  const css = React.useMemo(
    () => ({
      "& tr": row,
      "& tr[data-line]": ROW_STYLES,
      "& td": cell,
      "& td[data-label]": DATA_STYLES,
      ...Object.fromEntries(
        Object.entries(MARKS).map(([mark, color]) => [
          `& tr[data-mark=${mark}] td:first-of-type`,
          { boxShadow: { [WIDE]: `inset 3px 0 0 {colors.${color}}` } },
        ]),
      ),
      ...cellStyles(badge({ variant: "surface", size: "sm" })),
    }),
    [row, cell, badge],
  );
  return h(
    Table.Body,
    { role: "rowgroup", display: { base: "block", [WIDE]: "table-row-group" }, css },
    rows.map((row) => h(Line, { key: keyOf(row), columns, row, actions, mark: markOf(row), tall })),
  );
}

/** Made anew only when something in it changed. */
const Line = React.memo(
  ({ columns, row, actions, mark, tall }) =>
    h(
      "tr",
      { role: "row", "data-line": true, "data-mark": mark },
      columns.map(({ label, span, number, first, show }) =>
        h(
          "td",
          {
            key: label,
            role: "cell",
            "data-label": label,
            className: [`span-${span}`, number && "number", first && "first", tall && "tall"].filter(Boolean).join(" "),
          },
          show(row, actions),
        ),
      ),
    ),
  (before, after) => Object.entries(after.row).every(([name, value]) => same(before.row[name], value)),
);

/** Answers of the interface hold nothing that JSON does not. */
const same = (one, other) =>
  one === other || (typeof other === "object" && JSON.stringify(one) === JSON.stringify(other));
