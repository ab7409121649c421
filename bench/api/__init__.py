"""What a read of the REST API costs beside its bare SQL and beside an empty FastAPI route: `python3 -m bench.api`."""
