/** Around the table: which states it shows, which part of it, and the way to the other parts. */

import { count, whole } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { STATUSES, UNFINISHED, wordOf } from "./states.js";
import { PAGE_SIZES, lastPage } from "./view.js";

const { Button, ButtonGroup, Flex, HStack, NativeSelect, Spacer, Text } = ChakraUI;

const ALL = "All states";
const ALL_BUT_HALTED = "All but Halted";
const SEVERAL = "Several states";

/**
 * @param {{view: object, total: number | null, onChoose: (statuses: string[]) => void, children: object}} props
 *   `total`: null: not known; `children`: what else stands in it
 */
export function FilterBar({ view, total, onChoose, children }) {
  const chosen = choiceOf(view.statuses);
  const choices = [ALL, ALL_BUT_HALTED, ...STATUSES];
  return h(
    Flex,
    { align: "center", gap: 3, wrap: "wrap" },
    h(Choice, {
      label: "Status",
      value: chosen,
      options: (chosen === SEVERAL ? [SEVERAL, ...choices] : choices).map((value) => [value, wordOf(value)]),
      onChange: (value) => onChoose(statusesOf(value, view.statuses)),
    }),
    children,
    h(Spacer),
    h(
      Text,
      { role: "status", color: "fg.muted", fontSize: "sm" },
      total === null ? "" : rangeOf(view, total, "virtual machine"),
    ),
  );
}

/** @param {{view: object, total: number, onChange: (changes: object) => void}} props */
export function PagingBar({ view, total, onChange }) {
  const last = lastPage(total, view.limit);
  const go = (label, page, sign) =>
    h(
      Button,
      {
        "aria-label": label,
        title: label,
        disabled: page < 1 || page > last || page === view.page,
        onClick: () => onChange({ page }),
      },
      sign,
    );
  return h(
    Flex,
    { as: "nav", "aria-label": "Pages of the table", align: "center", gap: 3, wrap: "wrap" },
    h(Choice, {
      label: "Rows a page",
      value: String(view.limit),
      options: PAGE_SIZES.map((size) => [String(size), String(size)]),
      onChange: (value) => onChange({ limit: Number(value), page: 1 }),
    }),
    h(Spacer),
    h(
      HStack,
      { gap: 3 },
      h(Text, { color: "fg.muted", fontSize: "sm" }, `Page ${view.page} of ${last}`),
      h(
        ButtonGroup,
        { attached: true, variant: "outline", size: "sm" },
        go("First page", 1, "«"),
        go("Previous page", view.page - 1, "‹"),
        go("Next page", view.page + 1, "›"),
        go("Last page", last, "»"),
      ),
    ),
  );
}

/** "1–100 of 1,234 virtual machines" */
export function rangeOf({ page, limit }, total, noun) {
  const things = count(total, noun);
  const first = (page - 1) * limit + 1;
  return first > total ? things : `${whole(first)}–${whole(Math.min(page * limit, total))} of ${things}`;
}

/** @param {{label: string, value: string, options: [string, string][], onChange: (value: string) => void}} props */
export function Choice({ label, value, options, onChange }) {
  return h(
    HStack,
    { as: "label", gap: 2, fontSize: "sm" },
    h("span", null, label),
    h(
      NativeSelect.Root,
      { size: "sm", width: "auto" },
      h(
        NativeSelect.Field,
        { value, onChange: (event) => onChange(event.target.value) },
        options.map(([option, text]) => h("option", { key: option, value: option }, text)),
      ),
      h(NativeSelect.Indicator),
    ),
  );
}

const choiceOf = (statuses) => {
  if (statuses.length === 0) return ALL;
  if (statuses.length === 1) return statuses[0];
  return statuses.join() === UNFINISHED.join() ? ALL_BUT_HALTED : SEVERAL;
};

function statusesOf(choice, now) {
  if (choice === ALL) return [];
  if (choice === ALL_BUT_HALTED) return [...UNFINISHED];
  return choice === SEVERAL ? now : [choice];
}
