"""Typed pods, images and endpoints from Airflow's Variables and Connections, and our own settings."""
