"""What the operator tells Prometheus. Small objects that the others call; none of them decides anything."""
