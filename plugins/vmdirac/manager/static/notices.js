/** What the page says instead of, or above, the table: what is wrong, or what to do first. */

import { Trouble, loginAddress } from "./api.js";
import { clock } from "./format.js";
import { ChakraUI, React, ReactRouterDOM, h } from "./host.js";
import { wordOf } from "./states.js";

const { Alert, Box, Button, Code, EmptyState, Link, List, Skeleton, Text, VStack } = ChakraUI;
const { Link: RouterLink } = ReactRouterDOM;

const EXPLANATIONS = {
  [Trouble.SESSION_OVER]: () => ({
    title: "Your session is over",
    text: [h(Link, { href: loginAddress(), variant: "underline", key: "login" }, "Log in again"), " to see live data."],
  }),
  [Trouble.FORBIDDEN]: () => ({
    title: "You may not see this",
    text: ["Your role does not include viewing the cluster activity. Ask an administrator of this Airflow for it."],
  }),
  [Trouble.UNREACHABLE]: () => ({
    title: "The API server can't be reached",
    text: ["Check your network connection, and that Airflow's API server runs. The page goes on trying by itself."],
  }),
  [Trouble.SERVER_ERROR]: (status) => ({
    title: `The API server can't tell (HTTP ${status})`,
    text: [
      "The reason is in the log of Airflow's API server. If vmdirac was installed or upgraded just now, run ",
      h(Code, { key: "migrate" }, "airflow db migrate"),
      ". The page goes on trying by itself.",
    ],
  }),
};

/**
 * Why there is no fresh data and what to do.
 * @param {{error: ApiError, asOf: string | null}} props `asOf`: of when the data is that is shown, null: none is
 */
export function TroubleNotice({ error, asOf }) {
  const { title, text } = EXPLANATIONS[error.trouble](error.status);
  return h(
    Alert.Root,
    { status: "error", role: "alert", alignItems: "flex-start" },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      h(Alert.Title, null, title),
      h(Alert.Description, null, ...text, asOf && ` What you see below is of ${clock(asOf)}.`),
    ),
  );
}

/** In place of what is not known yet. */
export const Loading = () => h(Skeleton, { height: "40vh", role: "status", "aria-label": "Loading" });

/** No instance is in one of the states that are filtered by. */
export function NothingMatches({ statuses, onShowAll }) {
  return h(
    Notice,
    { title: `No virtual machine is ${statuses.map(wordOf).join(" or ")} now` },
    h(Button, { variant: "outline", onClick: onShowAll }, "Show all"),
  );
}

/** There has never been an instance: how to get the first one. */
export function NothingYet() {
  return h(
    Notice,
    { title: "No virtual machine has been started yet" },
    h(FirstSteps),
  );
}

/** What it takes to get VMs. */
export function FirstSteps() {
  return h(
    React.Fragment,
    null,
    h(Text, null, "VMs are started for jobs that wait. What it takes:"),
    h(
      List.Root,
      { as: "ol", textAlign: "start", gap: 2, ps: 5, _marker: { color: "inherit" } },
      h(
        List.Item,
        null,
        "a cloud, as a connection of a ",
        h(Code, null, "vmdirac_…"),
        " type in ",
        h(Inside, { to: "/connections" }, "Admin > Connections"),
      ),
      h(
        List.Item,
        null,
        "images and pods, as the variables ",
        h(Code, null, "vmdirac_images"),
        " and ",
        h(Code, null, "vmdirac_running_pods"),
        " in ",
        h(Inside, { to: "/variables" }, "Admin > Variables"),
      ),
      h(List.Item, null, "the Dag ", h(Inside, { to: "/dags/vmdirac_scheduler" }, "vmdirac_scheduler"), ", not paused"),
      h(List.Item, null, "jobs in the queue: ", h(Code, null, "vmdirac jobs submit")),
    ),
    h(Text, null, h(Code, null, "vmdirac validate"), " tells what is still missing."),
  );
}

/** Says in place of a table why there is none. */
export function Notice({ title, children }) {
  return h(
    Box,
    { borderWidth: 1, borderRadius: "lg" },
    h(
      EmptyState.Root,
      { size: "sm" },
      h(
        EmptyState.Content,
        null,
        h(EmptyState.Title, { as: "h2" }, title),
        h(VStack, { gap: 3, color: "fg.muted", fontSize: "sm" }, children),
      ),
    ),
  );
}

/** A link to a page of Airflow's. */
export function Inside({ to, children }) {
  return h(Link, { asChild: true, variant: "underline", color: "fg.info" }, h(RouterLink, { to }, children));
}
