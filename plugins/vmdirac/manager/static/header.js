/** The head of the page: its tabs, and how fresh the data is. */

import { clock } from "./format.js";
import { ChakraUI, h } from "./host.js";

const { Badge, Heading, HStack, Spacer, Span, Tabs, Text } = ChakraUI;

export const TITLE = "VMDIRAC";

/** @param {{tabs: object[], asOf: string | null, stale: boolean}} props `asOf`: of when the data is, if there is any */
export function Header({ tabs, asOf, stale }) {
  return h(
    HStack,
    { wrap: "wrap", columnGap: { base: 3, md: 6 }, rowGap: 2 },
    h(Heading, { as: "h1", size: "xl" }, TITLE),
    h(
      Tabs.List,
      { "aria-label": "Views", borderBottomWidth: 0, gap: 1 },
      tabs.map(({ name, label }) => h(Tabs.Trigger, { key: name, value: name }, label)),
    ),
    h(Spacer),
    asOf &&
      h(
        HStack,
        { gap: { base: 2, md: 3 } },
        h(
          Text,
          { color: "fg.muted", fontSize: { base: "xs", md: "sm" }, fontVariantNumeric: "tabular-nums" },
          `updated ${clock(asOf)}`,
        ),
        h(Freshness, { stale }),
      ),
  );
}

function Freshness({ stale }) {
  const look = { variant: "surface", borderRadius: "full", px: 2 };
  if (stale) return h(Badge, { ...look, colorPalette: "warning" }, "Stale");
  return h(
    Badge,
    { ...look, colorPalette: "success", title: "Refreshed every 5 seconds while you look at it" },
    h(Span, { boxSize: 2, borderRadius: "full", bg: "currentColor" }),
    "Live",
  );
}
