/**
 * What is in the cells of the table. Much of it was said by VMs and clouds: shown as text and nothing else.
 *
 * There are thousands of them on a page, so they are plain elements; `cellStyles` is how they look.
 */

import { dateAndTime } from "./format.js";
import { h } from "./host.js";
import { INSTANCE_STATES, wordOf } from "./states.js";

/**
 * Styles for the element around the cells.
 * @param {object} badge how the host draws a badge
 */
export const cellStyles = (badge) => ({
  "& .one-line": { display: "block", maxW: "full", truncate: true },
  "& .code": { fontFamily: "mono", fontSize: "xs" },
  "& .none": { color: "fg.muted" },
  "& .status": { display: "flex", alignItems: "center", gap: 2 },
  "& .status b": badge,
  "& .status [data-state]": { borderRadius: "full", px: 2, flexShrink: 0 },
  ...Object.fromEntries(
    Object.entries(INSTANCE_STATES).map(([state, { palette }]) => [
      `& [data-state=${state}]`,
      { colorPalette: palette },
    ]),
  ),
  "& .stop": { color: "fg.muted", fontSize: "xs", lineHeight: "1.25" },
  "& .error": { color: "failed.fg", cursor: "pointer", textAlign: "start", focusVisibleRing: "outside" },
});

/** What is not known, or not there. */
export const NONE = h("span", { className: "none" }, "–");

/** Text on one line, cut off where the column ends; whole as its title. */
export function OneLine({ text, title = text, code = false }) {
  if (!text) return NONE;
  // Isolated, so that no character in it can turn around the text beside it.
  return h("bdi", { title, className: code ? "one-line code" : "one-line" }, text);
}

/** The state, and how far and why it is stopping. */
export function Status({ status, phase, reason }) {
  const stop = status === "Stopping" ? [phase, reason].filter(Boolean).map(wordOf) : [];
  return h(
    "div",
    { className: "status" },
    h("b", { "data-state": status, title: INSTANCE_STATES[status]?.meaning }, wordOf(status)),
    stop.length > 0 &&
      h(
        "div",
        { className: "stop" },
        stop.map((word) => h("div", { key: word }, word)),
      ),
  );
}

/** A time, with its age as title. */
export const Time = ({ iso, age }) => h("time", { dateTime: iso, title: age }, dateAndTime(iso));

/** An error, on one line; a click tells all of it, its title too. */
export function ErrorText({ text, onOpen }) {
  if (!text) return null;
  return h(
    "button",
    { type: "button", "aria-haspopup": "dialog", title: text, className: "one-line error", onClick: onOpen },
    h("bdi", null, text),
  );
}
