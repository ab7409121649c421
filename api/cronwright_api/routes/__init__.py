"""The paths of the document: each route unpacks a request, calls one thing and wraps the answer; no rule lives here."""
