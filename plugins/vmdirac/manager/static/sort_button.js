/** The name of a column in a table's header, which sorts the table. */

import { ChakraUI, h } from "./host.js";

const { Button, Icon } = ChakraUI;

/**
 * @param {{column: object, order: "ascending" | "descending" | null, wide: string, onClick: () => void}} props
 *   `order`: how the table is sorted by the column, null: not by it; `wide`: from which width on it is drawn as a table
 */
export function SortButton({ column, order, wide, onClick }) {
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
      fontSize: "inherit",
      color: order ? "brand.fg" : "inherit",
      flexDirection: { base: "row", [wide]: column.number ? "row-reverse" : "row" },
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
