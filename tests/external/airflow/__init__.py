"""The DAGs of `examples/airflow/` on Airflow itself: `uv run pytest -m airflow`."""
