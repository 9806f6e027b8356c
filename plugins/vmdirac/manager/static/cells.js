/** What is in the cells of the table. Much of it was said by VMs and clouds: shown as text and nothing else. */

import { dateAndTime } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { INSTANCE_STATES, wordOf } from "./states.js";

const { Badge, HStack, Span, chakra } = ChakraUI;

/** What is not known, or not there. */
export const NONE = h(Span, { color: "fg.muted", "aria-label": "none" }, "–");

/** Text on one line, cut off where the column ends; whole as its title. */
export function OneLine({ text, title = text, mono = false }) {
  if (!text) return NONE;
  return h(
    Span,
    { title, display: "block", truncate: true, fontFamily: mono ? "mono" : undefined, fontSize: mono ? "xs" : undefined },
    // Isolated, so that no character in it can turn around the text beside it.
    h("bdi", null, text),
  );
}

/** The state, and how far and why it is stopping. */
export function Status({ instance: { status, drain_phase: phase, stop_reason: reason } }) {
  const { palette, meaning } = INSTANCE_STATES[status];
  const stop = status === "Stopping" ? [phase, reason].filter(Boolean).map(wordOf).join(", ") : "";
  return h(
    HStack,
    { gap: 2 },
    h(
      Badge,
      { colorPalette: palette, variant: "surface", borderRadius: "full", px: 2, title: meaning, flexShrink: 0 },
      wordOf(status),
    ),
    stop && h(Span, { color: "fg.muted", fontSize: "xs", lineHeight: "short", title: `Stop: ${stop}` }, stop),
  );
}

/** A time, with its age as title. */
export function Time({ iso, age }) {
  return h("time", { dateTime: iso, title: age }, dateAndTime(iso));
}

/** An error, on one line until it is clicked; whole as its title too. */
export function ErrorText({ text }) {
  const [open, setOpen] = React.useState(false);
  if (!text) return null;
  return h(
    chakra.button,
    {
      type: "button",
      "aria-expanded": open,
      title: text,
      onClick: () => setOpen(!open),
      color: "failed.fg",
      cursor: "pointer",
      display: "block",
      textAlign: "start",
      maxW: "full",
      focusVisibleRing: "outside",
      ...(open ? { whiteSpace: "pre-wrap", overflowWrap: "anywhere" } : { truncate: true }),
    },
    h("bdi", null, text),
  );
}
