/** What is asked of whoever stops VMs. */

import { ChakraUI, h } from "./host.js";

const { Checkbox, Field, Input } = ChakraUI;

/** @param {{value: string, onChange: (value: string) => void}} props */
export const WhyField = ({ value, onChange }) =>
  h(
    Field.Root,
    { required: true },
    h(Field.Label, null, "Why"),
    h(Input, { value, maxLength: 1000, onChange: ({ target }) => onChange(target.value) }),
    h(Field.HelperText, null, "Is kept in the history, with your name"),
  );

/** @param {{checked: boolean, disabled: boolean, onChange: (checked: boolean) => void}} props */
export const ForceField = ({ checked, disabled, onChange }) =>
  h(
    Checkbox.Root,
    { checked, disabled, onCheckedChange: (change) => onChange(Boolean(change.checked)) },
    h(Checkbox.HiddenInput),
    h(Checkbox.Control),
    h(Checkbox.Label, null, "By force, whatever runs: jobs go back to the queue when the VM says that it ends, or is gone"),
  );
