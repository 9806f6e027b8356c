/** Stopping one instance, and letting it go on. */

import { ActionNotice, useStops } from "./actions.js";
import { FormDialog } from "./form_dialog.js";
import { ChakraUI, React, h } from "./host.js";
import { ForceField, WhyField } from "./stop_fields.js";

const { Button, HStack, Stack } = ChakraUI;

const ENDED = Object.freeze(["Halted", "Error"]);

/**
 * What may be done about an instance, for whoever may.
 * @param {{instance: object, refresh: () => void}} props
 */
export function Stops({ instance, refresh }) {
  const { busy, outcome, stop, goOn, dismiss } = useStops(instance.id, refresh);
  const [asked, setAsked] = React.useState(null);
  if (!instance.may_stop) return null;
  const stoppable = !ENDED.includes(instance.status) && !instance.forced;
  const act = (why, force) => {
    setAsked(null);
    (asked === "stop" ? stop : goOn)(why, force);
  };
  return h(
    Stack,
    { gap: 3 },
    h(
      HStack,
      { gap: 3, wrap: "wrap" },
      stoppable &&
        h(
          Button,
          { size: "xs", variant: "outline", loading: Boolean(busy), onClick: () => setAsked("stop") },
          "Stop…",
        ),
      instance.can_go_on &&
        h(
          Button,
          { size: "xs", variant: "outline", loading: Boolean(busy), onClick: () => setAsked("go on") },
          "Let it go on…",
        ),
    ),
    outcome && h(ActionNotice, { outcome, onDismiss: dismiss }),
    h(Ask, { instance, asked, onAct: act, onClose: () => setAsked(null) }),
  );
}

/** Asks why, and how. */
function Ask({ instance: { id, status }, asked, onAct, onClose }) {
  const [why, setWhy] = React.useState("");
  // One that drains already can only be stopped by force.
  const onlyByForce = status === "Stopping";
  const [force, setForce] = React.useState(false);
  React.useEffect(() => {
    setWhy("");
    setForce(false);
  }, [asked]);
  const stopping = asked === "stop";
  const forced = stopping && (force || onlyByForce);
  const send = {
    label: stopping ? "Stop it" : "Let it go on",
    disabled: !why.trim(),
    colorPalette: forced ? "red" : undefined,
  };
  return h(
    FormDialog,
    {
      title: stopping ? `Stop instance ${id}` : `Let instance ${id} go on`,
      open: asked !== null,
      send,
      onSend: () => onAct(why.trim(), forced),
      onClose,
    },
    h(WhyField, { value: why, onChange: setWhy }),
    stopping && h(ForceField, { checked: forced, disabled: onlyByForce, onChange: setForce }),
  );
}
