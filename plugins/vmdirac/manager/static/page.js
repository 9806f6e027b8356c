/** The page: counts and the table of instances, kept fresh. */

import { Counts } from "./counts.js";
import { clock } from "./format.js";
import { ChakraUI, React, ReactRouterDOM, h } from "./host.js";
import { useLive } from "./live.js";
import { NothingMatches, NothingYet, TroubleNotice } from "./notices.js";
import { InstanceTable } from "./table.js";
import { FilterBar, PagingBar } from "./toolbar.js";
import { lastPage, queryOf, readView, sortedBy, writeView } from "./view.js";

const { Badge, Heading, HStack, Skeleton, Spacer, Span, Stack, Text } = ChakraUI;

const TITLE = "VMDIRAC";

export function Page() {
  const [params, setParams] = ReactRouterDOM.useSearchParams();
  const view = readView(params);
  const query = queryOf(view);
  const { data, query: shown, error } = useLive(query);
  const change = (changes, options) => setParams(writeView({ ...view, ...changes }), options);
  const choose = (statuses) => change({ statuses, page: 1 });

  const asOf = data && data.summary.as_of;
  const total = data && data.table.total;
  const pending = shown !== query;
  const last = data && !pending ? lastPage(total, view.limit) : null;
  React.useEffect(() => {
    document.title = `${TITLE} - Airflow`;
  }, []);
  React.useEffect(() => {
    // The table became shorter than the page of it that is asked for.
    if (last !== null && view.page > last) change({ page: last }, { replace: true });
  });

  return h(
    Stack,
    { as: "main", gap: 5, p: 2 },
    h(Header, { asOf, stale: error !== null }),
    error && h(TroubleNotice, { error, asOf }),
    (data || !error) && h(Counts, { summary: data && data.summary, statuses: view.statuses, onChoose: choose }),
    data === null
      ? !error && h(Skeleton, { height: "40vh", role: "status", "aria-label": "Loading" })
      : h(Instances, { data, view, pending, onChange: change, onChoose: choose }),
  );
}

function Instances({ data: { summary, table }, view, pending, onChange, onChoose }) {
  const noneAtAll = Object.values(summary.instances).every((count) => count === 0);
  const noneFound = table.total === 0 && !pending;
  if (noneFound && (noneAtAll || view.statuses.length === 0)) return h(NothingYet);
  return h(
    Stack,
    { gap: 3 },
    h(FilterBar, { view, total: pending ? null : table.total, onChoose }),
    noneFound
      ? h(NothingMatches, { statuses: view.statuses, onShowAll: () => onChoose([]) })
      : h(InstanceTable, {
          instances: table.instances,
          asOf: summary.as_of,
          view,
          pending,
          onSort: (column) => onChange(sortedBy(view, column)),
        }),
    h(PagingBar, { view, total: table.total, onChange }),
  );
}

function Header({ asOf, stale }) {
  return h(
    HStack,
    { wrap: "wrap", columnGap: { base: 2, md: 3 } },
    h(Heading, { as: "h1", size: "xl" }, TITLE),
    h(Spacer),
    asOf &&
      h(
        Text,
        { color: "fg.muted", fontSize: { base: "xs", md: "sm" }, fontVariantNumeric: "tabular-nums" },
        `updated ${clock(asOf)}`,
      ),
    asOf &&
      (stale
        ? h(Badge, { colorPalette: "warning", variant: "surface", borderRadius: "full", px: 2 }, "Stale")
        : h(
            Badge,
            {
              colorPalette: "success",
              variant: "surface",
              borderRadius: "full",
              px: 2,
              title: "Refreshed every 5 seconds while you look at it",
            },
            h(Span, { boxSize: 2, borderRadius: "full", bg: "currentColor" }),
            "Live",
          )),
  );
}
