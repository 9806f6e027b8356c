"""Airflow operators: thin, they read, call a decision or a loop's body, and record."""
