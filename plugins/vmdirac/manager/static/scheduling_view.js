/** Which decisions the page shows: filter, order and page, kept in the page's address. */

import { askSorting, readPaging, writeSorting } from "./view.js";

const SORTS = new Set([
  "attention",
  "pod",
  "endpoint",
  "jobs",
  "waiting_cpu",
  "active",
  "in_flight",
  "warranted",
  "planned",
  "launched",
  "failed",
]);

/** All decisions, what needs attention first. */
export const DEFAULT_VIEW = Object.freeze({ text: "", sort: "attention", descending: true, limit: 25, page: 1 });

/**
 * The view that an address asks for; what makes no sense in it is ignored.
 * @param {URLSearchParams} params
 */
export function readView(params) {
  const sort = params.get("sort");
  return {
    text: (params.get("text") ?? "").slice(0, 400),
    sort: SORTS.has(sort) ? sort : DEFAULT_VIEW.sort,
    descending: SORTS.has(sort) ? params.get("descending") === "true" : DEFAULT_VIEW.descending,
    ...readPaging(params, DEFAULT_VIEW),
  };
}

/** The view as parameters of the page's address, without what goes without saying. */
export function writeView({ text, ...sorting }) {
  const params = new URLSearchParams();
  if (text) params.set("text", text);
  writeSorting(params, sorting, DEFAULT_VIEW);
  return params;
}

/** The view as the manager's interface wants it. */
export function queryOf({ text, ...sorting }) {
  const params = new URLSearchParams([["text", text]]);
  askSorting(params, sorting);
  return params.toString();
}
