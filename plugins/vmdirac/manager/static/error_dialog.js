/** An instance's whole error, over the page. */

import { ChakraUI, h } from "./host.js";

const { CloseButton, Dialog, Portal } = ChakraUI;

/** @param {{instance: object | null, onClose: () => void}} props `instance`: whose error is shown, null: none */
export function ErrorDialog({ instance, onClose }) {
  return h(
    Dialog.Root,
    {
      open: instance !== null,
      onOpenChange: ({ open }) => open || onClose(),
      size: "md",
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
          null,
          h(Dialog.Header, null, h(Dialog.Title, { truncate: true, pe: 6 }, `Error of ${instance?.name}`)),
          h(
            Dialog.Body,
            { whiteSpace: "pre-wrap", overflowWrap: "anywhere", maxH: "60vh", overflowY: "auto", tabIndex: 0 },
            h("bdi", null, instance?.error_message),
          ),
          h(Dialog.CloseTrigger, { asChild: true }, h(CloseButton, { size: "sm" })),
        ),
      ),
    ),
  );
}
