"""Crashes and faults on clouds behind HTTP: a process is killed at each point, answers get lost, and nothing else does.

``python -m tests.crash_suite`` runs all of it; pytest a part that is short.
"""
