/** The second tab: what the scheduler decided and why, and what it goes by. */

import { fetchScheduling } from "./api.js";
import { ActionNotice, useActions } from "./actions.js";
import { Alerts } from "./alerts.js";
import { Decisions } from "./decisions.js";
import { EndpointTable } from "./endpoints.js";
import { ErrorDialog } from "./error_dialog.js";
import { ChakraUI, React, h } from "./host.js";
import { ImageTable } from "./images.js";
import { Loading } from "./notices.js";
import { PodTable } from "./pods.js";
import { queryOf, readView, writeView } from "./scheduling_view.js";
import { LastTick } from "./tick.js";
import { lastPage } from "./view.js";

const { Stack } = ChakraUI;

function Body({ data, view, pending, change, refresh }) {
  const [read, setRead] = React.useState(null);
  const { busy, outcome, resume, reset, dismiss } = useActions(refresh);
  const decisions = React.useRef(null);
  if (data === null) return h(Loading);
  const { overview, table } = data;

  function showDecisionsOf(text) {
    change({ text, page: 1 });
    decisions.current?.scrollIntoView({ block: "start" });
    decisions.current?.focus({ preventScroll: true });
  }

  return h(
    Stack,
    { gap: 7 },
    outcome && h(ActionNotice, { outcome, onDismiss: dismiss }),
    h(Alerts, { overview }),
    h(LastTick, { overview }),
    h(PodTable, { pods: overview.pods, onRead: setRead, onDecisions: showDecisionsOf }),
    h(Decisions, { ref: decisions, table, planned: overview.tick !== null, view, pending, change, onRead: setRead }),
    h(EndpointTable, { overview, busy, onRead: setRead, onResume: resume }),
    h(ImageTable, { overview, busy, onRead: setRead, onReset: reset }),
    h(ErrorDialog, { title: read && "The whole message", text: read, onClose: () => setRead(null) }),
  );
}

export const SCHEDULING = Object.freeze({
  name: "scheduling",
  label: "Scheduling",
  fetchData: fetchScheduling,
  readView,
  writeView,
  queryOf,
  asOfOf: ({ overview }) => overview.as_of,
  lastPage: ({ table }, { limit }) => lastPage(table.total, limit),
  Body,
});
