"""vmdirac for Apache Airflow: the right number of virtual machines for a queue of waiting jobs.

This file imports nothing on purpose: Airflow calls the provider entry point while it is still building its own
configuration, and anything imported here would be imported there.
"""

__version__ = "0.1.0"
