/** The columns of the table of instances. */

import { ErrorText, InstanceLink, NONE, OneLine, Status, Time, taskOf } from "./cells.js";
import { load, uptime } from "./format.js";
import { h } from "./host.js";

/** A VM that never called in has told no measurements. */
const measured = (instance, shown) => (instance.heard_at === null ? NONE : shown);

/** What {@link DataTable} wants to know of them. */
export const COLUMNS = Object.freeze([
  { label: "Image", sort: "image", natural: "ascending", span: 3, show: ({ image }) => h(OneLine, { text: image }) },
  {
    label: "Pod",
    sort: "pod",
    natural: "ascending",
    span: 3,
    // What a task asked for is of no pod.
    show: ({ pod, requester }) => h(OneLine, { text: requester ? taskOf(requester) : pod }),
  },
  {
    label: "Endpoint",
    sort: "endpoint",
    natural: "ascending",
    span: 3,
    show: ({ endpoint }) => h(OneLine, { text: endpoint }),
  },
  {
    label: "Status",
    sort: "status",
    natural: "ascending",
    span: 3,
    first: true,
    width: "178px",
    show: ({ status, drain_phase: phase, stop_reason: reason }) => h(Status, { status, phase, reason }),
  },
  {
    label: "VM id",
    sort: "cloud_id",
    natural: "ascending",
    span: 3,
    first: true,
    show: ({ id, cloud_id: cloudId, name }, { onOpen }) =>
      h(
        InstanceLink,
        { id, onOpen },
        h(OneLine, { text: cloudId, title: `${cloudId}\nname: ${name}`, code: true }),
      ),
  },
  {
    label: "IP",
    span: 3,
    width: "104px",
    show: ({ public_ip: outer, private_ip: inner }) =>
      h(OneLine, { text: outer || inner, title: outer && inner ? `${outer}, inside ${inner}` : undefined, code: true }),
  },
  {
    label: "Load",
    sort: "load",
    natural: "descending",
    span: 2,
    number: true,
    width: "60px",
    show: (instance) => measured(instance, load(instance.load)),
  },
  {
    label: "Uptime",
    sort: "uptime",
    natural: "descending",
    span: 2,
    number: true,
    width: "80px",
    show: (instance) => measured(instance, uptime(instance.uptime)),
  },
  {
    label: "Jobs",
    sort: "jobs",
    natural: "descending",
    span: 2,
    number: true,
    width: "60px",
    show: (instance) => measured(instance, instance.jobs),
  },
  {
    label: "Last update (UTC)",
    sort: "updated_at",
    natural: "descending",
    span: 6,
    width: "151px",
    show: ({ updated_at: iso, age }) => h(Time, { iso, age }),
  },
  {
    label: "Error",
    span: 6,
    show: (instance, { onError }) => h(ErrorText, { text: instance.error_message, onOpen: () => onError(instance) }),
  },
]);
