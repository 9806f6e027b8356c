"""Tests of the program that runs on a VM, against a manager that plays a script."""
