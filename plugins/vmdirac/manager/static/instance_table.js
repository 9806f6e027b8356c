/** The table of instances. */

import { COLUMNS } from "./columns.js";
import { ErrorDialog } from "./error_dialog.js";
import { age } from "./format.js";
import { React, h } from "./host.js";
import { DataTable } from "./table.js";

/**
 * @param {{instances: object[], asOf: string, view: object, pending: boolean, onSort: (column: object) => void,
 *   onOpen: (id: number) => void}} props
 *   `asOf`: the moment from which ages are counted; `pending`: other lines than these have been asked for
 */
export function InstanceTable({ instances, asOf, view, pending, onSort, onOpen }) {
  const [failed, setFailed] = React.useState(null);
  return h(
    React.Fragment,
    null,
    h(DataTable, {
      label: "Virtual machines",
      columns: COLUMNS,
      rows: instances.map((instance) => ({ ...instance, age: age(instance.updated_at, asOf) })),
      keyOf: ({ id }) => id,
      actions: { onError: setFailed, onOpen },
      minWidth: "1150px",
      sticky: true,
      pending,
      view,
      onSort,
    }),
    h(ErrorDialog, {
      title: failed && `Error of ${failed.name}`,
      text: failed && failed.error_message,
      onClose: () => setFailed(null),
    }),
  );
}
