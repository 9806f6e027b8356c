/** The page: its tabs, and the data of the one that is looked at, kept fresh. */

import { useAddress } from "./address.js";
import { Header, TITLE } from "./header.js";
import { ChakraUI, React, h } from "./host.js";
import { INSTANCE, INSTANCE_PARAMETER } from "./instance_page.js";
import { INSTANCES } from "./instances_page.js";
import { useLive } from "./live.js";
import { TroubleNotice } from "./notices.js";
import { SCHEDULING } from "./scheduling_page.js";
import { STATISTICS } from "./statistics_page.js";

const { Stack, Tabs } = ChakraUI;

/**
 * `name`: in the page's address; `fetchData`, `readView`, `writeView`, `queryOf`: what is asked for, and how it is
 * written into the address; `asOfOf(data)`: of when data is; `lastPage(data, view)`: of its table; `Body`: what it
 * shows; its data is null until it is known.
 */
const TABS = Object.freeze([INSTANCES, SCHEDULING, STATISTICS]);

const TAB = "tab";

export function Page() {
  const [params, setParams] = useAddress();
  const named = TABS.find(({ name }) => name === params.get(TAB)) ?? INSTANCES;
  const tab = params.has(INSTANCE_PARAMETER) ? INSTANCE : named;
  const view = tab.readView(params);
  const query = tab.queryOf(view);
  const { data, query: shown, error, refresh } = useLive(tab.fetchData, query);
  const change = (changes, options) => setParams(addressed(tab, tab.writeView({ ...view, ...changes })), options);

  // Of one instance, or with null of all of them.
  const show = React.useCallback(
    (id) => setParams(new URLSearchParams(id === null ? [] : [[INSTANCE_PARAMETER, id]])),
    [setParams],
  );

  const asOf = data && tab.asOfOf(data);
  const pending = shown !== query;
  const last = data && !pending ? tab.lastPage(data, view) : null;
  React.useEffect(() => {
    document.title = `${[TITLE, tab !== INSTANCES && tab.label].filter(Boolean).join(" ")} - Airflow`;
  }, [tab]);
  React.useEffect(() => {
    // The table became shorter than the page of it that is asked for.
    if (last !== null && view.page > last) change({ page: last }, { replace: true });
  });

  return h(
    Tabs.Root,
    {
      value: tab.name,
      onValueChange: ({ value }) => setParams(addressed(TABS.find(({ name }) => name === value))),
      size: "sm",
      // Each tab asks the server: one that is only passed by on the way to another is not opened.
      activationMode: "manual",
    },
    h(
      Stack,
      { as: "main", gap: 5, p: 2 },
      h(Header, { tabs: TABS, asOf, stale: error !== null }),
      error && h(TroubleNotice, { error, asOf }),
      h(
        Tabs.Content,
        { key: tab.name, value: tab.name, p: 0, outline: "none" },
        data === null && error ? null : h(tab.Body, { data, view, pending, change, refresh, show }),
      ),
    ),
  );
}

/** A tab's parameters of the page's address; the first tab's name goes without saying. */
function addressed(tab, params = new URLSearchParams()) {
  return tab === INSTANCES ? params : new URLSearchParams([[TAB, tab.name], ...params]);
}

