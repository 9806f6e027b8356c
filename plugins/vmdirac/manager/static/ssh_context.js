/** How far the contextualization of one VM over ssh is, and by which host keys it is known. */

import { Says, Time } from "./cells.js";
import { Code, FactList } from "./facts.js";
import { age } from "./format.js";
import { ChakraUI, h } from "./host.js";
import { Section } from "./section.js";

const { Stack } = ChakraUI;

const SOURCES = Object.freeze({
  console: "told by its console",
  first_use: "trusted on first use",
});

/** @param {{ssh: object, asOf: string, onRead: (text: string) => void}} props */
export function SshContext({ ssh, asOf, onRead }) {
  const time = (iso) => iso && h(Time, { iso, age: age(iso, asOf) });
  return h(
    Section,
    { id: "instance-ssh", title: "Contextualization over ssh" },
    h(FactList, {
      label: "Contextualization over ssh",
      facts: [
        ["Address", h(Code, { text: ssh.address })],
        ["Host keys", h(HostKeys, { keys: ssh.host_keys })],
        ssh.host_key_source && ["Known from", SOURCES[ssh.host_key_source] ?? ssh.host_key_source],
        ["Last visit (UTC)", time(ssh.visited_at)],
        ssh.failures > 0 && ["Visits in vain", String(ssh.failures)],
        ssh.message && ["The last one", h(Says, { text: ssh.message, bad: true, onOpen: onRead })],
        ["Tries", String(ssh.tries)],
        ssh.begun_at && ["Script begun (UTC)", time(ssh.begun_at)],
        ssh.exit_status !== null && ["Exit status", String(ssh.exit_status)],
        ssh.output && ["Output", h(Output, { text: ssh.output, onRead })],
      ],
    }),
  );
}

const HostKeys = ({ keys }) =>
  h(
    Stack,
    { gap: 0.5 },
    keys.map(({ kind, fingerprint }) =>
      h(Code, { key: fingerprint, text: kind ? `${fingerprint} (${kind.toUpperCase()})` : fingerprint }),
    ),
  );

const Output = ({ text, onRead }) =>
  h(
    "button",
    { type: "button", "aria-haspopup": "dialog", className: "link", onClick: () => onRead(text) },
    "Read what it said",
  );
