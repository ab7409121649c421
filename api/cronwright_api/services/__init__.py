"""What a route does when it is more than one call: store and API server in the order that survives a crash."""
