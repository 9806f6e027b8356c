/** The third tab: how things went. */

import { fetchStatistics } from "./api.js";
import { ChakraUI, h } from "./host.js";
import { Loading } from "./notices.js";
import { PhaseTable } from "./phases.js";
import { SizeTable } from "./sizes.js";
import { TotalTable } from "./totals.js";

const { Stack } = ChakraUI;

function Body({ data }) {
  if (data === null) return h(Loading);
  return h(
    Stack,
    { gap: 7 },
    h(TotalTable, { totals: data.totals.totals }),
    h(PhaseTable, { times: data.times }),
    h(SizeTable, { sizes: data.sizes }),
  );
}

export const STATISTICS = Object.freeze({
  name: "statistics",
  label: "Statistics",
  fetchData: fetchStatistics,
  readView: () => ({ page: 1 }),
  writeView: () => new URLSearchParams(),
  queryOf: () => "",
  asOfOf: ({ times }) => times.as_of,
  lastPage: () => 1,
  Body,
});
