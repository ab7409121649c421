"""Container images without a registry: a Debian base from packages, and Dockerfiles built with Docker or buildah.

An image leaves here as a docker-archive in the cache folder, named by the hash of everything that went into it; the
cluster imports it from there. Standard library only, like `cluster`, whose console and settings it shares.
"""
