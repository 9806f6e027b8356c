/** How many instances and jobs are in each state. The instances' counts are buttons that filter the table. */

import { ChakraUI, h } from "./host.js";
import { INSTANCE_STATES, JOB_STATES, STATUSES, wordOf } from "./states.js";

const { Badge, Box, Button, Flex, Heading, HStack, Skeleton, Text, Wrap } = ChakraUI;

const sum = (counts) => Object.values(counts).reduce((total, count) => total + count, 0);

/**
 * @param {{summary: object | null, statuses: string[], onChoose: (statuses: string[]) => void}} props
 *   `summary`: null until it is known; `statuses`: what the table is filtered by, empty: by nothing
 */
export function Counts({ summary, statuses, onChoose }) {
  const all = statuses.length === 0;
  return h(
    Flex,
    { columnGap: 10, rowGap: 4, direction: { base: "column", "2xl": "row" } },
    h(
      Section,
      { id: "vmdirac-instance-counts", title: "Virtual machines" },
      h(StateButton, {
        label: "All",
        palette: "brand",
        count: summary && sum(summary.instances),
        pressed: all,
        onClick: () => onChoose([]),
      }),
      STATUSES.map((status) => {
        const pressed = statuses.includes(status);
        const only = pressed && statuses.length === 1;
        return h(StateButton, {
          key: status,
          label: wordOf(status),
          meaning: INSTANCE_STATES[status].meaning,
          palette: INSTANCE_STATES[status].palette,
          count: summary && summary.instances[status],
          pressed,
          onClick: () => onChoose(only ? [] : [status]),
        });
      }),
    ),
    h(
      Section,
      { id: "vmdirac-job-counts", title: "Jobs of the embedded queue" },
      Object.entries(JOB_STATES).map(([state, { palette, meaning }]) =>
        h(
          HStack,
          { key: state, title: meaning, gap: 2, py: 1, pe: 3, "data-state": state },
          h(Count, { palette, count: summary && summary.jobs[state] }),
          h(Text, { fontSize: "sm" }, state),
        ),
      ),
    ),
  );
}

function Section({ id, title, children }) {
  return h(
    Box,
    { as: "section", "aria-labelledby": id },
    h(Heading, { as: "h2", id, color: "fg.muted", size: "xs", mb: 2 }, title),
    h(Wrap, { gap: 2 }, children),
  );
}

function StateButton({ label, meaning, palette, count, pressed, onClick }) {
  return h(
    Button,
    {
      "aria-pressed": pressed,
      variant: "outline",
      title: meaning,
      onClick,
      height: "auto",
      px: 2,
      py: 1.5,
      gap: 1.5,
      borderRadius: "lg",
      fontWeight: "medium",
      _pressed: {
        bg: "brand.subtle",
        borderColor: "brand.focusRing",
        boxShadow: "inset 0 0 0 1px {colors.brand.focusRing}",
      },
    },
    h(Count, { palette, count }),
    label,
  );
}

function Count({ palette, count }) {
  if (count === null) return h(Skeleton, { height: 6, width: 8, borderRadius: "full" });
  return h(
    Badge,
    {
      colorPalette: palette,
      variant: "surface",
      borderRadius: "full",
      fontSize: "sm",
      fontVariantNumeric: "tabular-nums",
      justifyContent: "center",
      minW: 8,
      px: 2,
      py: 0.5,
    },
    count.toLocaleString("en"),
  );
}
