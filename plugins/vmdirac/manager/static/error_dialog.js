/** A whole error, over the page. */

import { ChakraUI, h } from "./host.js";

const { CloseButton, Dialog, Portal } = ChakraUI;

/** @param {{title: string | null, text: string | null, onClose: () => void}} props null: there is none to be shown */
export function ErrorDialog({ title, text, onClose }) {
  return h(
    Dialog.Root,
    {
      open: text !== null,
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
          h(Dialog.Header, null, h(Dialog.Title, { truncate: true, pe: 6 }, title)),
          h(
            Dialog.Body,
            { whiteSpace: "pre-wrap", overflowWrap: "anywhere", maxH: "60vh", overflowY: "auto", tabIndex: 0 },
            h("bdi", null, text),
          ),
          h(Dialog.CloseTrigger, { asChild: true }, h(CloseButton, { size: "sm" })),
        ),
      ),
    ),
  );
}
