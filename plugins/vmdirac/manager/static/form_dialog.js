/** A form over the page. */

import { ChakraUI, h } from "./host.js";

const { Button, CloseButton, Dialog, Portal, Stack } = ChakraUI;

/**
 * @param {{title: string, open: boolean, send: object, onSend: () => void, onClose: () => void, children: object[]}}
 *   props `send`: what the button is like that sends the form, `label` among it
 */
export function FormDialog({ title, open, send: { label, ...send }, onSend, onClose, children }) {
  const submit = (event) => {
    event.preventDefault();
    if (!send.disabled) onSend();
  };
  return h(
    Dialog.Root,
    { open, onOpenChange: (change) => change.open || onClose(), size: "sm", lazyMount: true, unmountOnExit: true },
    h(
      Portal,
      null,
      h(Dialog.Backdrop),
      h(
        Dialog.Positioner,
        null,
        h(
          Dialog.Content,
          { as: "form", onSubmit: submit },
          h(Dialog.Header, null, h(Dialog.Title, { pe: 6 }, title)),
          h(Dialog.Body, null, h(Stack, { gap: 4 }, children)),
          h(
            Dialog.Footer,
            null,
            h(Button, { size: "sm", variant: "outline", onClick: onClose }, "Cancel"),
            h(Button, { size: "sm", type: "submit", ...send }, label),
          ),
          h(Dialog.CloseTrigger, { asChild: true }, h(CloseButton, { size: "sm" })),
        ),
      ),
    ),
  );
}
