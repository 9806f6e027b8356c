"""DAGs to read, to copy and to try; ``[core] load_examples`` shows them in Airflow, paused."""
