/** Stopping one instance, and letting it go on. */

import { ActionNotice, useStops } from "./actions.js";
import { ChakraUI, React, h } from "./host.js";

const { Button, Checkbox, CloseButton, Dialog, Field, HStack, Input, Portal, Stack } = ChakraUI;

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
  const title = stopping ? `Stop instance ${id}` : `Let instance ${id} go on`;
  const send = (event) => {
    event.preventDefault();
    if (why.trim()) onAct(why.trim(), forced);
  };
  return h(
    Dialog.Root,
    {
      open: asked !== null,
      onOpenChange: ({ open }) => open || onClose(),
      size: "sm",
      lazyMount: true,
      unmountOnExit: true,
    },
    h(
      Portal,
      null,
      h(Dialog.Backdrop),
      h(
        Dialog.Positioner,
        null,
        h(
          Dialog.Content,
          { as: "form", onSubmit: send },
          h(Dialog.Header, null, h(Dialog.Title, { pe: 6 }, title)),
          h(
            Dialog.Body,
            null,
            h(
              Stack,
              { gap: 4 },
              h(
                Field.Root,
                { required: true },
                h(Field.Label, null, "Why"),
                h(Input, { value: why, maxLength: 1000, onChange: ({ target }) => setWhy(target.value) }),
                h(Field.HelperText, null, "Is kept in its history, with your name"),
              ),
              stopping &&
                h(
                  Checkbox.Root,
                  {
                    checked: forced,
                    disabled: onlyByForce,
                    onCheckedChange: ({ checked }) => setForce(Boolean(checked)),
                  },
                  h(Checkbox.HiddenInput),
                  h(Checkbox.Control),
                  h(Checkbox.Label, null, "By force: at once, and its jobs go back to the queue"),
                ),
            ),
          ),
          h(
            Dialog.Footer,
            null,
            h(Button, { size: "sm", variant: "outline", onClick: onClose }, "Cancel"),
            h(
              Button,
              { size: "sm", type: "submit", disabled: !why.trim(), colorPalette: forced ? "red" : undefined },
              stopping ? "Stop it" : "Let it go on",
            ),
          ),
          h(Dialog.CloseTrigger, { asChild: true }, h(CloseButton, { size: "sm" })),
        ),
      ),
    ),
  );
}
