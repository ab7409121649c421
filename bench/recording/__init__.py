"""What recording costs, beside what the same costs without it."""
