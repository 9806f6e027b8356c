"""The demo: a whole Airflow with vmdirac on this machine, forty real jobs, and the picture that they make."""
