/** What a person has to look at, above everything else. */

import { age, clock } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Section } from "./section.js";

const { Alert, Span, Stack } = ChakraUI;

const TITLES = Object.freeze({
  orphans: "Many unknown VMs",
  needs_a_person: "A VM that cannot be deleted",
  credential: "A credential that cannot be read",
  suspicious: "Somebody else knows a VM's secret",
});

/** @param {{overview: object}} props */
export function Alerts({ overview: { alerts, as_of: asOf } }) {
  if (alerts.length === 0) return null;
  return h(
    Section,
    { id: "vmdirac-alerts", title: "Alerts", count: alerts.length },
    h(
      Stack,
      { gap: 2 },
      alerts.map(({ kind, subject, message, since }) =>
        h(
          Alert.Root,
          { key: `${kind} ${subject}`, status: "error", size: "sm" },
          h(Alert.Indicator),
          h(
            Alert.Content,
            null,
            h(Alert.Title, { overflowWrap: "anywhere" }, `${TITLES[kind] ?? kind}: `, h("bdi", null, subject)),
            h(
              Alert.Description,
              { overflowWrap: "anywhere" },
              h("bdi", null, message),
              h(Span, { color: "fg.muted" }, ` (since ${clock(since)}, ${age(since, asOf)})`),
            ),
          ),
        ),
      ),
    ),
  );
}
