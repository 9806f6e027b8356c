/**
 * What is in the cells of the table. Much of it was said by VMs and clouds: shown as text and nothing else.
 *
 * There are thousands of them on a page, so they are plain elements; `cellStyles` is how they look.
 */

import { dateAndTime } from "./format.js";
import { h } from "./host.js";
import { INSTANCE_STATES, PALETTES, wordOf } from "./states.js";

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
    Object.entries(PALETTES).map(([state, palette]) => [`& [data-state=${state}]`, { colorPalette: palette }]),
  ),
  "& .stop": { color: "fg.muted", fontSize: "xs", lineHeight: "1.25" },
  "& .state": { ...badge, borderRadius: "full", px: 2 },
  "& .name": { fontWeight: "medium", overflowWrap: "anywhere" },
  "& .says": { whiteSpace: "normal", overflowWrap: "anywhere", lineHeight: "1.4" },
  "& .says + .says, & .says + .item, & .item + .item": { mt: 1 },
  "& .quiet": { color: "fg.muted", fontSize: "xs", lineHeight: "1.4" },
  "& .bad": { color: "failed.fg" },
  "& .open": {
    display: "block",
    maxW: "full",
    color: "fg.info",
    textDecoration: { _hover: "underline" },
    focusVisibleRing: "outside",
  },
  "& .open[aria-current]": { color: "fg", fontWeight: "semibold" },
  "& .link": { color: "fg.info", cursor: "pointer", textDecoration: "underline", focusVisibleRing: "outside" },
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

/** To the page of an instance. A click that is to open it elsewhere is the browser's. */
export function InstanceLink({ id, onOpen, current = false, children }) {
  const open = (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    onOpen(id);
  };
  const label = `Instance ${id}`;
  return h(
    "a",
    { href: `?instance=${id}`, className: "open", "aria-label": label, "aria-current": current || undefined, onClick: open },
    children,
  );
}

/** The task that asked for a VM, as people call it. */
export const taskOf = ({ dag_id: dag, task_id: task, map_index: index }) =>
  `${dag}.${task}${index >= 0 ? `[${index}]` : ""}`;

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

/** A state alone, of any kind; `states`: what it means. */
export const State = ({ state, states, label = wordOf(state) }) =>
  h("b", { className: "state", "data-state": state, title: states[state]?.meaning }, label);

/** So many characters of what a cloud says are shown in a table. */
const SAID_MAX = 280;

/**
 * Something said in words, on as many lines as it takes; what is very long can be read in a dialog. `more`: what is
 * known of it besides.
 */
export function Says({ text, more = "", bad = false, onOpen }) {
  const className = bad ? "says bad" : "says";
  const beside = more && h("bdi", { className: "quiet" }, ` ${more}`);
  if (text.length <= SAID_MAX) return h("div", { className }, h("bdi", null, text), beside);
  return h(
    "div",
    { className },
    h("bdi", null, `${text.slice(0, SAID_MAX)}… `),
    h(
      "button",
      { type: "button", "aria-haspopup": "dialog", className: "link", onClick: () => onOpen(text) },
      "Read all of it",
    ),
    beside,
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
