"""The FastAPI app on Airflow's API server: the VM interface, the admin interface and the pages."""
