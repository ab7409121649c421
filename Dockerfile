# One small image; the command chooses: cronwright api | operator | migrate | token.
#
# BASE_IMAGE needs Python >= 3.11 with `python3 -m venv` (Debian: python3 and python3-venv) and nothing else. Where no registry is
# reached, `python3 dev/images` makes such a base from Debian packages and builds this file with buildah.
ARG BASE_IMAGE=python:3.11-slim-bookworm

# pip and the build backend live in /build and are left behind; /opt/cronwright holds only what runs.
FROM ${BASE_IMAGE} AS dependencies
# How packages are reached from here, where the default does not do; of the build alone, nothing of it is left in the image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
WORKDIR /src
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/cronwright
COPY requirements.lock requirements-build.lock ./
# Byte code is compiled here, by hash and not by time: the root file system is read-only at run time, and layers stay the same.
RUN /build/bin/pip install --require-hashes -r requirements-build.lock \
 && /build/bin/pip --python /opt/cronwright/bin/python install --no-compile --require-hashes -r requirements.lock \
 && /opt/cronwright/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/cronwright/lib

# The product alone, apart from what it stands on: a change of the code changes a small layer only.
FROM dependencies AS product
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY api api
COPY operator operator
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
 && /build/bin/pip --python /opt/cronwright/bin/python install --no-compile --no-deps --root /product /wheel/*.whl \
 && /opt/cronwright/bin/python -m compileall -q --invalidation-mode unchecked-hash -s /product /product/opt/cronwright/lib

FROM ${BASE_IMAGE}
# A named user, since libraries that ask who they are fail on a bare number; nobody can log in as it.
RUN echo 'cronwright:x:10001:10001:Cronwright:/tmp:/usr/sbin/nologin' >> /etc/passwd \
 && echo 'cronwright:x:10001:' >> /etc/group
COPY --from=dependencies /opt/cronwright /opt/cronwright
COPY --from=product /product/opt/cronwright /opt/cronwright
ENV PATH=/opt/cronwright/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp LANG=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["cronwright"]
