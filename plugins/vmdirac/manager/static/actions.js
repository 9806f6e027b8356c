/** What a user can do on the page, and what came of it. */

import { Trouble, resetImage, resumeEndpoint } from "./api.js";
import { count } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { TroubleNotice } from "./notices.js";

const { Alert, CloseButton } = ChakraUI;

/**
 * @param {() => void} refresh asks for the page's data, which shows what an action did
 * @returns {{busy: string | null, outcome: object | null, resume: function, reset: function, dismiss: function}}
 *   `busy`: what an action is under way for; the functions stay the same
 */
export function useActions(refresh) {
  const [busy, setBusy] = React.useState(null);
  const [outcome, setOutcome] = React.useState(null);
  const actions = React.useMemo(() => {
    async function act(what, action, say) {
      setBusy(what);
      setOutcome(null);
      setOutcome(
        await action().then(
          (answer) => ({ text: say(answer) }),
          (error) => ({ error }),
        ),
      );
      setBusy(null);
      refresh();
    }
    return {
      resume: (name) =>
        act(
          `endpoint ${name}`,
          () => resumeEndpoint(name),
          ({ dropped }) => `Launches on ${name} are tried again at the next tick: ${count(dropped, "hold")} dropped.`,
        ),
      reset: (name) =>
        act(
          `image ${name}`,
          () => resetImage(name),
          () => `Image ${name} is New again: the next tick starts VMs with it.`,
        ),
      dismiss: () => setOutcome(null),
    };
  }, [refresh]);
  return { busy, outcome, ...actions };
}

/** @param {{outcome: {text?: string, error?: ApiError}, onDismiss: () => void}} props */
export function ActionNotice({ outcome: { text, error }, onDismiss }) {
  if (error && error.trouble !== Trouble.FORBIDDEN) return h(TroubleNotice, { error, asOf: null });
  return h(
    Alert.Root,
    { status: error ? "error" : "success", role: error ? "alert" : "status" },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      h(Alert.Title, { overflowWrap: "anywhere" }, error ? "You may not do this" : text),
      error &&
        h(
          Alert.Description,
          null,
          "It takes the right to edit connections. Ask an administrator of this Airflow for it.",
        ),
    ),
    h(CloseButton, { size: "xs", "aria-label": "Dismiss", onClick: onDismiss }),
  );
}
