/**
 * The page as Airflow's UI loads it. Airflow imports this file and then looks for the component under the page's name,
 * or under `AirflowPlugin` the first time; the module is run only once, so both are set.
 */

import { Page } from "./page.js";

globalThis.VMDIRAC = Page;
globalThis.AirflowPlugin = Page;
