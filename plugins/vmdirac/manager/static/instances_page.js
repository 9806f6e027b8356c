/** The first tab: counts and the table of instances. */

import { fetchInstances } from "./api.js";
import { Counts } from "./counts.js";
import { ChakraUI, h } from "./host.js";
import { InstanceTable } from "./instance_table.js";
import { MassStop } from "./mass_stop.js";
import { Loading, NothingMatches, NothingYet } from "./notices.js";
import { FilterBar, PagingBar } from "./toolbar.js";
import { lastPage, queryOf, readView, sortedBy, writeView } from "./view.js";

const { Stack } = ChakraUI;

function Body({ data, view, pending, change, show, refresh }) {
  const choose = (statuses) => change({ statuses, page: 1 });
  return h(
    Stack,
    { gap: 5 },
    h(Counts, { summary: data && data.summary, statuses: view.statuses, onChoose: choose }),
    data === null
      ? h(Loading)
      : h(Instances, { data, view, pending, onChange: change, onChoose: choose, onOpen: show, refresh }),
  );
}

function Instances({ data: { summary, table }, view, pending, onChange, onChoose, onOpen, refresh }) {
  const noneAtAll = Object.values(summary.instances).every((count) => count === 0);
  const noneFound = table.total === 0 && !pending;
  if (noneFound && (noneAtAll || view.statuses.length === 0)) return h(NothingYet);
  return h(
    Stack,
    { gap: 3 },
    h(FilterBar, { view, total: pending ? null : table.total, onChoose }, h(MassStop, { summary, refresh })),
    noneFound
      ? h(NothingMatches, { statuses: view.statuses, onShowAll: () => onChoose([]) })
      : h(InstanceTable, {
          instances: table.instances,
          asOf: summary.as_of,
          view,
          pending,
          onSort: (column) => onChange(sortedBy(view, column)),
          onOpen,
        }),
    h(PagingBar, { view, total: table.total, onChange }),
  );
}

export const INSTANCES = Object.freeze({
  name: "instances",
  label: "Instances",
  fetchData: fetchInstances,
  readView,
  writeView,
  queryOf,
  asOfOf: ({ summary }) => summary.as_of,
  lastPage: ({ table }, { limit }) => lastPage(table.total, limit),
  Body,
});
