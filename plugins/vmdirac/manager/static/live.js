/** Keeps the page's data fresh. */

import { React } from "./host.js";

const REFRESH_MS = 5000;

const NOTHING = Object.freeze({ data: null, query: null, error: null });

/**
 * Asks for what a query selects, at once and again some seconds after each answer, but not while nobody can see it.
 * @param {(query: string, signal: AbortSignal) => Promise<object>} fetchData what asks
 * @param {string} query
 * @returns {{data: object | null, query: string | null, error: Error | null, refresh: () => void}} the last good answer
 *   and its query, which stay while there is no newer one; `error`: why the last try gave none; `refresh`: asks now
 */
export function useLive(fetchData, query) {
  const [state, setState] = React.useState(NOTHING);
  const askNow = React.useRef(() => {});
  React.useEffect(() => {
    const life = new AbortController();
    let timer;
    let asking = false;
    let askAgain = false;

    async function refresh() {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      let outcome;
      do {
        askAgain = false;
        outcome = await fetchData(query, life.signal).then(
          (data) => ({ data, query, error: null }),
          (error) => ({ error }),
        );
      } while (askAgain && !life.signal.aborted);
      asking = false;
      if (life.signal.aborted) return;
      setState((last) => ({ ...(last.by === fetchData ? last : NOTHING), ...outcome, by: fetchData }));
      if (!document.hidden) timer = setTimeout(refresh, REFRESH_MS);
    }

    function followVisibility() {
      if (document.hidden) clearTimeout(timer);
      else refresh();
    }

    askNow.current = () => {
      // An answer that is on its way may be from before whatever this is asked for.
      askAgain = true;
      refresh();
    };
    document.addEventListener("visibilitychange", followVisibility, { signal: life.signal });
    refresh();
    return () => {
      life.abort();
      clearTimeout(timer);
    };
  }, [fetchData, query]);
  const refresh = React.useCallback(() => askNow.current(), []);
  // What another tab of the page asked for is nothing to this one.
  const { data, query: shown, error } = state.by === fetchData ? state : NOTHING;
  return { data, query: shown, error, refresh };
}
