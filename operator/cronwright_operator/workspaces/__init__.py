"""Cleaning workspaces: requests, the Job that removes directories, and the program that it runs."""
