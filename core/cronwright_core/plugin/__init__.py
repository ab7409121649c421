"""`kubectl cronwright`: what people do with tasks, at the command line. Standard library and our own pure code only.

It acts by kubectl, with kubectl's own credentials and context, and reads history and output from the REST API where
that can be reached, else from what the cluster still has - and says so.
"""
