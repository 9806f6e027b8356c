/** Numbers and times as people read them. All times are UTC; ages are by the server's clock, never the browser's. */

const two = (number) => String(number).padStart(2, "0");

/** A load with two decimals. */
export const load = (value) => value.toFixed(2);

/** Seconds as h:mm:ss, the hours going on beyond a day. */
export function uptime(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** A time as "2026-11-22 19:15:03". */
export const dateAndTime = (iso) => new Date(iso).toISOString().slice(0, 19).replace("T", " ");

/** A time as "19:15:03 UTC". */
export const clock = (iso) => `${new Date(iso).toISOString().slice(11, 19)} UTC`;

/**
 * How long ago a time was. Nothing finer than a minute, so that a line of the table changes only when its VM does.
 * @param {string} iso the time
 * @param {string} asOf the moment from which it is looked at
 */
export function age(iso, asOf) {
  const minutes = Math.floor((Date.parse(asOf) - Date.parse(iso)) / 60_000);
  if (minutes < 1) return "less than a minute ago";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / (24 * 60))} days ago`;
}

/** A number as "1,234". */
export const whole = (number) => number.toLocaleString("en");

/** Seconds as the nearest unit that tells enough: "45 s", "12 min", "5 h", "3 days". */
export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** A number in few characters: "1,234", "12.3k", "4.6M". */
export const short = (number) =>
  number < 10_000
    ? whole(number)
    : number.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 }).replace("K", "k");

/** CPU seconds, which are added up over many jobs: "45 s", "12 min", "5.5 h", "2.74M h". */
export function cpu(seconds) {
  if (seconds < 5400) return duration(seconds);
  const hours = seconds / 3600;
  return `${hours < 100 ? hours.toLocaleString("en", { maximumFractionDigits: 1 }) : short(Math.round(hours))} h`;
}

/** How far ahead a time is, in minutes, so that what shows it changes seldom. */
export function ahead(iso, asOf) {
  const minutes = Math.ceil((Date.parse(iso) - Date.parse(asOf)) / 60_000);
  return minutes < 2 ? "in a minute" : `in ${duration(minutes * 60)}`;
}

/** A count with its noun: "1 instance", "1,234 instances". */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
