/** Keeps the page's data fresh. */

import { fetchAll } from "./api.js";
import { React } from "./host.js";

const REFRESH_MS = 5000;

const NOTHING = Object.freeze({ data: null, query: null, error: null });

/**
 * Asks for what a query selects, at once and again some seconds after each answer, but not while nobody can see it.
 * @param {string} query
 * @returns {{data: object | null, query: string | null, error: Error | null}} the last good answer and its query,
 *   which stay while there is no newer one; `error`: why the last try gave none
 */
export function useLive(query) {
  const [state, setState] = React.useState(NOTHING);
  React.useEffect(() => {
    const life = new AbortController();
    let timer;
    let asking = false;

    async function refresh() {
      if (asking) return;
      asking = true;
      clearTimeout(timer);
      const outcome = await fetchAll(query, life.signal).then(
        (data) => ({ data, query, error: null }),
        (error) => ({ error }),
      );
      asking = false;
      if (life.signal.aborted) return;
      setState((last) => ({ ...last, ...outcome }));
      if (!document.hidden) timer = setTimeout(refresh, REFRESH_MS);
    }

    function followVisibility() {
      if (document.hidden) clearTimeout(timer);
      else refresh();
    }

    document.addEventListener("visibilitychange", followVisibility, { signal: life.signal });
    refresh();
    return () => {
      life.abort();
      clearTimeout(timer);
    };
  }, [query]);
  return state;
}
