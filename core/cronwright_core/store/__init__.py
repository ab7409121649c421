"""PostgreSQL: the projection of the cluster's tasks and projects, and the record of what ran. The only SQLAlchemy code.

Callers hold a `session.Database`, give it to the stores, and see frozen `records` and domain errors; nothing of
SQLAlchemy.
"""
