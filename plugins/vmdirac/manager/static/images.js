/** The table of images. */

import { Says, State } from "./cells.js";
import { age, dateAndTime, whole } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Notice } from "./notices.js";
import { Foldable, Section } from "./section.js";
import { IMAGE_STATES } from "./states.js";
import { DataTable } from "./table.js";

const { Button, Code, Text } = ChakraUI;

const COLUMNS = Object.freeze([
  { label: "Image", span: 3, width: "190px", show: ({ name }) => h("bdi", { className: "name" }, name) },
  { label: "State", span: 3, width: "110px", show: ({ status }) => h(State, { state: status, states: IMAGE_STATES }) },
  {
    label: "Since (UTC)",
    span: 3,
    width: "210px",
    show: ({ changed_at: changed, since }) => [
      h("time", { key: "time", dateTime: changed }, dateAndTime(changed)),
      h("div", { key: "age", className: "quiet" }, since),
    ],
  },
  {
    label: "Failures",
    span: 3,
    number: true,
    width: "90px",
    meaning: "how often in a row its VMs did not boot, before one ever did",
    show: ({ failures, failed }) =>
      failures > 0
        ? [
            h("b", { key: "count", className: "bad" }, whole(failures)),
            h("div", { key: "age", className: "quiet" }, failed),
          ]
        : "0",
  },
  {
    label: "Error",
    span: 6,
    show: ({ error_message: error }, { onRead }) =>
      error ? h(Says, { text: error, bad: true, onOpen: onRead }) : h("span", { className: "quiet" }, "none"),
  },
  {
    label: "Action",
    span: 6,
    width: "110px",
    show: ({ name, status, mayAct, busy }, { onReset }) =>
      mayAct && status === "Error"
        ? h(
            Button,
            {
              size: "xs",
              variant: "outline",
              "aria-label": `Reset image ${name}`,
              title: "Make it New again: the next tick starts VMs with it",
              loading: busy,
              onClick: () => onReset(name),
            },
            "Reset",
          )
        : null,
  },
]);

/** @param {{overview: object, busy: string | null, onRead: function, onReset: (name: string) => void}} props */
export function ImageTable({ overview: { images, as_of: asOf, may_act: mayAct }, busy, onRead, onReset }) {
  return h(
    Section,
    { id: "vmdirac-images", title: "Images", count: images.length || null },
    images.length === 0
      ? h(
          Notice,
          { title: "No image has been used yet" },
          h(
            Text,
            null,
            "Images are entries of the variable ",
            h(Code, null, "vmdirac_images"),
            " that a running pod names.",
          ),
        )
      : h(Foldable, {
          rows: images,
          noun: "images",
          children: (rows) =>
            h(DataTable, {
              label: "Images",
              columns: COLUMNS,
              rows: rows.map((row) => ({
                ...row,
                since: age(row.changed_at, asOf),
                failed: row.failed_at && age(row.failed_at, asOf),
                mayAct,
                busy: busy === `image ${row.name}`,
              })),
              keyOf: ({ name }) => name,
              markOf: ({ status }) => (status === "Error" ? "bad" : undefined),
              actions: { onRead, onReset },
              minWidth: "980px",
              tall: true,
            }),
        }),
  );
}
