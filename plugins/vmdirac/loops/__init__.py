"""The bodies of the loops' tasks: plain functions that read, ask a decision, act and record.

They take the store, the clouds and the time as arguments, so the same code runs in a DAG, from the command line, in a
benchmark and in a crash test.
"""
