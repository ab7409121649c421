"""`make up` and `make down`: from a bare machine to a cluster with Cronwright on it and a demo that ran.

Standard library only: it runs before any environment exists.
"""
