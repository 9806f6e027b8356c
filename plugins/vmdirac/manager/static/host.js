/**
 * What Airflow's UI lends its plugins: its own React, router and components, so that the page follows its look and its
 * light and dark mode. Nothing else is loaded, and nothing needs to be built.
 */

export const { ChakraUI, React, ReactRouterDOM } = globalThis;

/** `h(component, properties, ...children)` makes an element; React escapes every text in it. */
export const h = React.createElement;
