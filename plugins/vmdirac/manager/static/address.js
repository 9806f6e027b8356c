/** The parameters of the page's address. */

import { React, ReactRouterDOM } from "./host.js";

const read = () => new URLSearchParams(location.search);

/**
 * The parameters, and a function that changes them, in a new entry of the browser's history unless told to `replace`.
 *
 * Not the router's own: whenever that changes the address, Airflow makes the page anew, and a field in which the user is
 * typing, or a button that was pressed with the keyboard, is gone from under the hands.
 * @returns {[URLSearchParams, (params: URLSearchParams, options?: {replace?: boolean}) => void]}
 */
export function useAddress() {
  const routed = ReactRouterDOM.useLocation();
  const [params, setParams] = React.useState(read);
  React.useEffect(() => setParams(read()), [routed]);
  React.useEffect(() => {
    const life = new AbortController();
    addEventListener("popstate", () => setParams(read()), { signal: life.signal });
    return () => life.abort();
  }, []);
  const change = React.useCallback((next, { replace = false } = {}) => {
    const query = next.toString();
    const url = location.pathname + (query && `?${query}`);
    // With the router's own notes on the entry: it finds its way back by them.
    if (replace) history.replaceState(history.state, "", url);
    else history.pushState(history.state, "", url);
    setParams(next);
  }, []);
  return [params, change];
}
