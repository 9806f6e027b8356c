/** What a user can do on the page, and what came of it. */

import { Trouble, letGoOn, resetImage, resumeEndpoint, stopInstance } from "./api.js";
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
  const { act, ...state } = useAct(refresh);
  const actions = React.useMemo(
    () => ({
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
    }),
    [act],
  );
  return { ...state, ...actions };
}

/** The same for one instance: to stop it, and to let it go on. */
export function useStops(id, refresh) {
  const { act, ...state } = useAct(refresh);
  const actions = React.useMemo(
    () => ({
      stop: (why, force) =>
        act(
          `instance ${id}`,
          () => stopInstance(id, why, force),
          ({ stopped }) => (stopped ? `Instance ${id} is being stopped.` : `Instance ${id} goes already.`),
        ),
      goOn: (why) =>
        act(
          `instance ${id}`,
          () => letGoOn(id, why),
          ({ going_on: count }) => (count ? `Instance ${id} goes on.` : `It is too late: instance ${id} goes.`),
        ),
    }),
    [act, id],
  );
  return { ...state, ...actions };
}

function useAct(refresh) {
  const [busy, setBusy] = React.useState(null);
  const [outcome, setOutcome] = React.useState(null);
  const act = React.useCallback(
    async (what, action, say) => {
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
    },
    [refresh],
  );
  const dismiss = React.useCallback(() => setOutcome(null), []);
  return { busy, outcome, act, dismiss };
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
          "It takes more rights than you have. Ask an administrator of this Airflow for them.",
        ),
    ),
    h(CloseButton, { size: "xs", "aria-label": "Dismiss", onClick: onDismiss }),
  );
}
