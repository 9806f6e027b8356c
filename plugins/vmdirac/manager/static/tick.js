/** The last tick: when it was, what came of it, and what the job sources told it. */

import { age, count, dateAndTime, duration, whole } from "./format.js";
import { ChakraUI, React, h } from "./host.js";
import { FirstSteps, Inside, Notice } from "./notices.js";
import { Section } from "./section.js";

const { Alert, Box, DataList, Span, Stack, Text } = ChakraUI;

/** The scheduler ticks every minute; longer than this it does not rest by itself. */
const LATE_MS = 5 * 60_000;

/** @param {{overview: object}} props */
export function LastTick({ overview: { tick, newest, sources, demand_age: demandAge, as_of: asOf } }) {
  const begun = newest ?? tick;
  const late = begun !== null && Date.parse(asOf) - Date.parse(begun.began_at) > LATE_MS;
  return h(
    Section,
    { id: "vmdirac-last-tick", title: "Last tick" },
    late && h(Late, { since: age(begun.began_at, asOf) }),
    tick === null ? h(NoTick, { begun }) : h(Tick, { tick, sources, demandAge, asOf }),
    tick !== null && newest.id !== tick.id && h(Newer, { newest }),
  );
}

function Tick({ tick, sources, demandAge, asOf }) {
  const unserved = sources.reduce((sum, { unmatched }) => sum + unmatched, 0);
  const broken = sources.filter(({ observed_at: observed }) => observed === null);
  const plan = Date.parse(tick.planned_at);
  return h(
    React.Fragment,
    null,
    broken.map(({ source, error }) =>
      h(
        Alert.Root,
        { key: source, status: "error", size: "sm" },
        h(Alert.Indicator),
        h(
          Alert.Content,
          null,
          h(Alert.Title, null, `The demand of ${source} could not be read`),
          h(Alert.Description, { overflowWrap: "anywhere" }, h("bdi", null, error)),
        ),
      ),
    ),
    h(
      Box,
      { borderWidth: 1, borderRadius: "lg", px: 4, py: 3 },
      h(Text, { fontWeight: "semibold", mb: 3, overflowWrap: "anywhere" }, tick.note || "It is still at work"),
      h(
        DataList.Root,
        {
          size: "sm",
          flexDirection: "row",
          flexWrap: "wrap",
          columnGap: 10,
          rowGap: 3,
          fontVariantNumeric: "tabular-nums",
        },
        h(Fact, {
          name: "Planned (UTC)",
          value: dateAndTime(tick.planned_at),
          more: age(tick.planned_at, asOf),
        }),
        h(Fact, {
          name: "Age of the demand",
          value: demandAge === null ? "not known" : duration(demandAge),
          more: demandAge === null ? null : "when it was planned",
        }),
        h(Fact, {
          name: "Jobs that no pod serves",
          value: whole(unserved),
          more: unserved > 0 ? "no running pod's VMs offer what they ask for" : null,
        }),
        sources
          .filter(({ observed_at: observed }) => observed !== null)
          .map(({ source, jobs, task_queues: queues, observed_at: observed }) =>
            h(Fact, {
              key: source,
              name: `Job source ${source}`,
              value: `${count(jobs, "job")} in ${count(queues, "task queue")}`,
              more: `looked at ${duration(Math.max(0, plan - Date.parse(observed)) / 1000)} before`,
            }),
          ),
      ),
    ),
  );
}

function Fact({ name, value, more }) {
  return h(
    DataList.Item,
    { gap: 0, flexDirection: "column", alignItems: "flex-start" },
    h(DataList.ItemLabel, { color: "fg.muted", fontSize: "xs", minW: 0 }, name),
    h(
      DataList.ItemValue,
      { display: "block" },
      value,
      " ",
      more && h(Span, { color: "fg.muted", fontSize: "xs", ms: 1 }, more),
    ),
  );
}

function NoTick({ begun }) {
  return h(
    Notice,
    {
      title: begun === null ? "The scheduler has not run yet" : "The scheduler's first tick has no plan yet",
    },
    h(Stack, { gap: 3, align: "center" }, h(FirstSteps)),
  );
}

/** What the last tick that planned all pods does not show. */
function Newer({ newest }) {
  const began = dateAndTime(newest.began_at);
  const ordered = newest.ordered_vms === null ? "a plan" : count(newest.ordered_vms, "VM");
  const text = newest.ordered_pod
    ? `After it, at ${began}, somebody asked for ${ordered} of pod ${newest.ordered_pod}: ${newest.note || "at work"}.`
    : `A newer tick began at ${began} and has no plan yet.`;
  return h(Text, { color: "fg.muted", fontSize: "sm", overflowWrap: "anywhere" }, text);
}

function Late({ since }) {
  return h(
    Alert.Root,
    { status: "warning", size: "sm" },
    h(Alert.Indicator),
    h(
      Alert.Content,
      null,
      h(Alert.Title, null, `The last tick began ${since}`),
      h(
        Alert.Description,
        null,
        "Nothing is started. Is the Dag ",
        h(Inside, { to: "/dags/vmdirac_scheduler" }, "vmdirac_scheduler"),
        " paused, or does it fail?",
      ),
    ),
  );
}
