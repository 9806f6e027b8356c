/** One instance: what is known of it, and all that happened to it. Where links of tasks lead. */

import { address, fetchInstance } from "./api.js";
import { InstanceLink, NONE, Says, Status, Time, cellStyles, taskOf } from "./cells.js";
import { ErrorDialog } from "./error_dialog.js";
import { Code, FactList } from "./facts.js";
import { age, ahead, dateAndTime, load, uptime } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { Inside, Loading, Notice } from "./notices.js";
import { StayTable } from "./phases.js";
import { Section } from "./section.js";
import { SshContext } from "./ssh_context.js";
import { wordOf } from "./states.js";
import { Stops } from "./stop.js";
import { DataTable } from "./table.js";

const { Box, Button, Heading, HStack, Stack, useRecipe } = ChakraUI;

export const INSTANCE_PARAMETER = "instance";

const HISTORY = Object.freeze([
  { label: "Time (UTC)", span: 3, width: "178px", show: ({ at, age }) => h(Time, { iso: at, age }) },
  {
    label: "State",
    span: 3,
    width: "178px",
    first: true,
    show: ({ status, drain_phase: phase }) => h(Status, { status, phase, reason: null }),
  },
  { label: "What happened", span: 6, show: ({ reason }, { onRead }) => h(Says, { text: reason, onOpen: onRead }) },
]);

const CREDENTIALS = Object.freeze([
  { label: "Credential", span: 3, width: "178px", first: true, show: ({ name }) => h(Code, { text: name }) },
  { label: "Version", span: 3, width: "120px", show: ({ version }) => h(Code, { text: version.slice(0, 8) }) },
  {
    label: "Good until (UTC)",
    span: 2,
    width: "178px",
    show: ({ expires_at: ends }) => (ends ? dateAndTime(ends) : NONE),
  },
  { label: "Last given (UTC)", span: 2, width: "178px", show: ({ last_at: at, age }) => h(Time, { iso: at, age }) },
  { label: "Times", span: 2, width: "80px", show: ({ times }) => times },
]);

function Body({ data, view: { id }, show, refresh }) {
  if (data === null) return h(Loading);
  return h(
    Stack,
    { gap: 5, align: "stretch" },
    h(
      HStack,
      { gap: 3, wrap: "wrap" },
      h(Heading, { as: "h2", size: "lg" }, `Instance ${data.instance ? data.instance.id : id}`),
      h(Button, { size: "xs", variant: "outline", onClick: () => show(null) }, "All instances"),
    ),
    data.instance === null
      ? h(Notice, { title: "There is no such instance" })
      : h(Instance, { instance: data.instance, show, refresh }),
  );
}

function Instance({ instance, show, refresh }) {
  const [read, setRead] = React.useState(null);
  const badge = useRecipe({ key: "badge" });
  const { history, as_of: asOf, error_kind: kind, error_message: error } = instance;
  return h(
    Stack,
    { gap: 5, css: cellStyles(badge({ variant: "surface", size: "sm" })) },
    h(Stops, { key: instance.id, instance, refresh }),
    h(Facts, { instance, show }),
    error &&
      h(
        Section,
        { id: "instance-error", title: "Error" },
        h(Says, { text: kind ? `${kind}: ${error}` : error, bad: true, onOpen: setRead }),
      ),
    instance.credentials.length > 0 &&
      h(
        Section,
        { id: "instance-credentials", title: "Credentials", count: instance.credentials.length },
        h(DataTable, {
          label: "Credentials",
          columns: CREDENTIALS,
          rows: instance.credentials.map((line) => ({ ...line, age: age(line.last_at, asOf) })),
          keyOf: ({ name, version }) => `${name} ${version}`,
          minWidth: "700px",
        }),
      ),
    instance.ssh && h(SshContext, { ssh: instance.ssh, asOf, onRead: setRead }),
    h(
      Section,
      { id: "instance-phases", title: "Time in phases" },
      h(StayTable, { stays: instance.phases.map((stay) => ({ ...stay, age: age(stay.began, asOf) })) }),
    ),
    h(
      Section,
      { id: "instance-history", title: "History", count: history.length },
      h(DataTable, {
        label: "History",
        columns: HISTORY,
        rows: history.map((line) => ({ ...line, age: age(line.at, asOf) })),
        keyOf: ({ id }) => id,
        actions: { onRead: setRead },
        minWidth: "700px",
        tall: true,
      }),
    ),
    h(ErrorDialog, { title: `Instance ${instance.id}`, text: read, onClose: () => setRead(null) }),
  );
}

function Facts({ instance, show }) {
  const { requester, with_it: withIt } = instance;
  const heard = instance.heard_at !== null;
  const facts = [
    ["State", h(Status, { status: instance.status, phase: instance.drain_phase, reason: instance.stop_reason })],
    instance.suspicious && ["Suspicious", "somebody has pretended to be its VM: the history says how"],
    ["Since (UTC)", h(Time, { iso: instance.status_since, age: age(instance.status_since, instance.as_of) })],
    ["Endpoint", instance.endpoint],
    ["VM id", h(Code, { text: instance.cloud_id })],
    ["Name", instance.name],
    ["Addresses", [instance.public_ip, instance.private_ip].filter(Boolean).join(", ")],
    ["Boots", [instance.boot_image, instance.flavor].filter(Boolean).join(", ")],
    ["Started (UTC)", h(Time, { iso: instance.created_at, age: age(instance.created_at, instance.as_of) })],
    instance.log_at && ["Agent's log (UTC)", h(AgentsLog, { instance })],
    instance.refusals.length > 0 && ["Refused calls", h(Refusals, { instance })],
    instance.expires_at && ["Ends at the latest (UTC)", h(Ends, { instance })],
    ...(requester
      ? [
          ["Asked for by", h(Inside, { to: addressOf(requester) }, taskOf(requester))],
          ["In run", requester.run_id],
          withIt.length > 1 && ["Together with", h(Siblings, { ids: withIt, own: instance.id, show })],
        ]
      : [
          ["Pod", instance.pod],
          ["Image", instance.image],
          ["Load", heard && load(instance.load)],
          ["Uptime", heard && uptime(instance.uptime)],
          ["Jobs", heard && `${instance.jobs} of ${instance.processors}`],
        ]),
  ];
  return h(FactList, { label: "Facts", facts });
}

const Ends = ({ instance: { expires_at: ends, as_of: asOf, status } }) =>
  status === "Halted" ? dateAndTime(ends) : h("time", { dateTime: ends, title: ahead(ends, asOf) }, dateAndTime(ends));

/** When it came; who may read it is led to it. */
function AgentsLog({ instance: { id, log_at: at, may_read_log: mayRead, as_of: asOf } }) {
  const when = h(Time, { iso: at, age: age(at, asOf) });
  if (!mayRead) return when;
  const href = address(`vmdirac/ui/v1/instances/${id}/log`);
  return h("a", { href, target: "_blank", rel: "noreferrer", className: "link", "aria-label": "Agent's log" }, when);
}
const Refusals = ({ instance: { refusals, as_of: asOf } }) =>
  h(
    Stack,
    { gap: 0 },
    refusals.map(({ reason, calls, last_at: at }) =>
      h("span", { key: reason }, `${calls} × ${wordOf(reason)}, last ${age(at, asOf)}`),
    ),
  );

const Siblings = ({ ids, own, show }) =>
  h(
    HStack,
    { gap: 2, wrap: "wrap" },
    ids.map((id) =>
      h(InstanceLink, { key: id, id, onOpen: show, current: id === own }, h(Box, { as: "span" }, `#${id}`)),
    ),
  );

/** Where Airflow shows a task. */
function addressOf({ dag_id: dag, run_id: run, task_id: task, map_index: index }) {
  const [d, r, t] = [dag, run, task].map(encodeURIComponent);
  return `/dags/${d}/runs/${r}/tasks/${t}${index >= 0 ? `/mapped/${index}` : ""}`;
}

/** As a tab of the page it stands in place of the table of instances. */
export const INSTANCE = Object.freeze({
  name: "instances",
  label: "Instance",
  fetchData: fetchInstance,
  readView: (params) => ({ id: params.get(INSTANCE_PARAMETER), page: 1 }),
  writeView: ({ id }) => new URLSearchParams([[INSTANCE_PARAMETER, id]]),
  queryOf: ({ id }) => id,
  asOfOf: ({ instance }) => instance && instance.as_of,
  lastPage: () => 1,
  Body,
});
