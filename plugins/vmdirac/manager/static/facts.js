/** What is known of one thing, as labels and values. */

import { NONE } from "./cells.js";
import { ChakraUI, h } from "./host.js";

const { DataList } = ChakraUI;

/**
 * @param {{label: string, facts: ([string, any] | any)[]}} props the list's own label, and pairs; what is no pair is
 * left out
 */
export const FactList = ({ label, facts }) =>
  h(
    DataList.Root,
    { orientation: "horizontal", size: "md", gap: 1.5, "aria-label": label },
    facts.filter(Boolean).map(([name, value]) =>
      h(
        DataList.Item,
        { key: name },
        h(DataList.ItemLabel, { minW: { base: "110px", md: "180px" } }, name),
        h(DataList.ItemValue, { minW: 0, overflowWrap: "anywhere" }, said(value)),
      ),
    ),
  );

/** Isolated text, or an element as it is. */
const said = (value) => (typeof value === "string" && value ? h("bdi", null, value) : value || NONE);

export const Code = ({ text }) => (text ? h("bdi", { className: "code" }, text) : NONE);
