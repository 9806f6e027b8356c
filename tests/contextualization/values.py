"""Values that want to be taken for something else."""

from hypothesis import strategies as st

HOSTILE = [
    "'; touch broken; '",
    '"; touch broken; "',
    "$(touch broken)",
    "`touch broken`",
    "\nVMDIRAC_IDENTITY\ntouch broken\n",
    "\nVMDIRAC_PACKED\ntouch broken\n",
    "\r\nVMDIRAC_UNIT\r\n",
    "\u2028VMDIRAC_FETCH\u2028",
    "\\",
    "\\'",
    "%s %n %%",
    "{{ boot }} {% raw %}",
    "${HOME}",
    "--- !!python/object:os.system",
    "*anchor &anchor",
    "no",
    "1e3",
    "12:30",
    "é\x85\U0001f600\x7f",
]

# Neither a word of a command nor a line of a file holds NUL, and nothing holds what UTF-8 does not.
ANY_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40),
    st.sampled_from(HOSTILE),
)
