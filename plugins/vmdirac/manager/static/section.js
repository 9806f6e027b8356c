/** Parts of the page under a heading, and lists of which the first lines are shown until more is asked for. */

import { whole } from "./format.js";
import { ChakraUI, React, h } from "./host.js";

const { Badge, Box, Button, Heading, HStack, Stack } = ChakraUI;

/** @param {{id: string, title: string, count: number | null}} props `count`: shown by the title */
export const Section = React.forwardRef(({ id, title, count = null, children }, ref) =>
  h(
    Stack,
    { ref, as: "section", "aria-labelledby": id, tabIndex: -1, outline: "none", gap: 2, scrollMarginTop: 2 },
    h(
      HStack,
      { gap: 3 },
      h(Heading, { as: "h2", id, size: "md" }, title),
      count !== null && h(Badge, { variant: "surface", borderRadius: "full", px: 2 }, whole(count)),
    ),
    children,
  ),
);

/** As many lines as are shown of lists whose first ones matter most. */
const FIRST = 10;

/**
 * @param {{rows: object[], noun: string, children: (rows: object[]) => object}} props `noun`: what there are many of
 */
export function Foldable({ rows, noun, children }) {
  const [open, setOpen] = React.useState(false);
  if (rows.length <= FIRST) return children(rows);
  return h(
    React.Fragment,
    null,
    children(open ? rows : rows.slice(0, FIRST)),
    h(
      Box,
      null,
      h(
        Button,
        { variant: "outline", size: "xs", "aria-expanded": open, onClick: () => setOpen(!open) },
        open ? `Show the first ${FIRST} only` : `Show all ${whole(rows.length)} ${noun}`,
      ),
    ),
  );
}
