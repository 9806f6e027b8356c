/**
 * What the table of instances shows: filter, order and page. Kept in the page's address, so that it can be shared and
 * gone back to.
 */

import { STATUSES } from "./states.js";

export const PAGE_SIZES = Object.freeze([25, 50, 100, 200]);

const SORTS = new Set(["image", "pod", "endpoint", "status", "cloud_id", "load", "uptime", "jobs", "updated_at"]);

/** All instances, the newest first. `sort` "id" is the order in which they were made. */
export const DEFAULT_VIEW = Object.freeze({
  statuses: Object.freeze([]),
  sort: "id",
  descending: true,
  limit: 100,
  page: 1,
});

/**
 * The view that an address asks for; what makes no sense in it is ignored.
 * @param {URLSearchParams} params
 */
export function readView(params) {
  const asked = new Set(params.getAll("status"));
  const statuses = STATUSES.filter((status) => asked.has(status));
  const sort = params.get("sort");
  return {
    statuses: statuses.length === STATUSES.length ? [] : statuses,
    sort: SORTS.has(sort) ? sort : DEFAULT_VIEW.sort,
    descending: SORTS.has(sort) ? params.get("descending") === "true" : DEFAULT_VIEW.descending,
    ...readPaging(params, DEFAULT_VIEW),
  };
}

/** How many lines a page has and which page it is, as an address says, or by default. */
export function readPaging(params, byDefault) {
  const limit = Number(params.get("limit"));
  const page = params.get("page") ?? "";
  return {
    limit: PAGE_SIZES.includes(limit) ? limit : byDefault.limit,
    page: /^[1-9]\d{0,5}$/.test(page) ? Number(page) : byDefault.page,
  };
}

/** The view as parameters of the page's address, without what goes without saying. */
export function writeView({ statuses, sort, descending, limit, page }) {
  const params = new URLSearchParams(statuses.map((status) => ["status", status]));
  writeSorting(params, { sort, descending, limit, page }, DEFAULT_VIEW);
  return params;
}

/** Order and page, but for what goes without saying. */
export function writeSorting(params, { sort, descending, limit, page }, byDefault) {
  if (sort !== byDefault.sort || descending !== byDefault.descending) {
    params.set("sort", sort);
    params.set("descending", descending);
  }
  if (limit !== byDefault.limit) params.set("limit", limit);
  if (page !== byDefault.page) params.set("page", page);
}

/** The view as the manager's interface wants it. */
export function queryOf({ statuses, sort, descending, limit, page }) {
  const params = new URLSearchParams(statuses.map((status) => ["status", status]));
  askSorting(params, { sort, descending, limit, page });
  return params.toString();
}

/** Order and page as the manager's interface wants them. */
export function askSorting(params, { sort, descending, limit, page }) {
  params.set("sort", sort);
  params.set("descending", descending);
  params.set("limit", limit);
  params.set("offset", (page - 1) * limit);
}

/** The number of the last page, 1 where there is nothing. */
export const lastPage = (total, limit) => Math.max(1, Math.ceil(total / limit));

/**
 * What clicking a column's header does: its natural order first, then the other one, then the table's own again.
 * @param {{sort: string, natural: "ascending" | "descending"}} column
 */
export function sortedBy(view, { sort, natural }, byDefault = DEFAULT_VIEW) {
  const descending = natural === "descending";
  if (view.sort !== sort) return { ...view, sort, descending, page: 1 };
  if (view.descending === descending) return { ...view, descending: !descending, page: 1 };
  return { ...view, sort: byDefault.sort, descending: byDefault.descending, page: 1 };
}
