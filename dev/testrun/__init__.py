"""`make test`: the parts of the test run, what each needs, and the table at the end. Standard library only."""
