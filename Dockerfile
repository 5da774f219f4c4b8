# The sidecar in an image without pip, compilers or root. `make image` builds it; BASE may be any Debian-like image with
# Python 3.11 or newer in /usr/local, such as a mirror of the default or a newer one.
ARG BASE=docker.io/library/python:3.13.7-slim-bookworm@sha256:adafcc17694d715c905b4c7bebd96907a1fd5cf183395f0ebc4d3428bd22d92d

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore PYTHONDONTWRITEBYTECODE=1
RUN python3 -m venv --without-pip /opt/proxy && python3 -m venv /opt/build
WORKDIR /src
COPY requirements requirements
# run, or aws for credentials from AWS Secrets Manager, or otel for traces, or postgres for an outcome ledger there.
ARG SET=run
# Wheels only: nothing is built that a hash does not cover.
RUN /opt/build/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/build.txt \
    && /opt/build/bin/pip --python /opt/proxy/bin/python install --quiet --require-hashes --only-binary :all: --no-compile \
        -r requirements/${SET}.txt
COPY pyproject.toml PACKAGE.md LICENSE ./
# The list of contents, from the same hashed requirements, with neither time nor random number in it.
RUN python3 -m venv /opt/sbom \
    && /opt/sbom/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements/sbom.txt \
    && /opt/sbom/bin/cyclonedx-py requirements requirements/${SET}.txt --pyproject pyproject.toml --output-reproducible \
        --output-format JSON --output-file /opt/proxy/sbom.cdx.json
COPY proxy proxy
COPY docs docs
COPY config config
# The commit's time becomes that of the wheel's and of all compiled files, so that two builds give the same bytes.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
RUN /opt/build/bin/python -m hatchling build --target wheel --directory /tmp/wheel \
    && /opt/build/bin/pip --python /opt/proxy/bin/python install --quiet --no-deps --no-index --no-compile /tmp/wheel/*.whl \
    && find /opt/proxy -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} + \
    && /opt/proxy/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/proxy/lib \
    && find /opt/proxy -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="localpayment-proxy" \
      org.opencontainers.image.description="A local authenticating reverse proxy for Localpayment" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ARG SOURCE_DATE_EPOCH=0
# What installs packages has no place beside a credential. Python's own images come without compiled files, and on a
# read-only file system each start, and each probe, would compile the library anew.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip \
    && cd /usr/local/lib/python3* \
    && python3 -m compileall -q --invalidation-mode unchecked-hash -x '/(test|idlelib|tkinter|turtledemo|lib2to3)/' . \
    && find . -newermt "@${SOURCE_DATE_EPOCH}" -exec touch --no-dereference --date "@${SOURCE_DATE_EPOCH}" {} +
COPY --from=build /opt/proxy /opt/proxy
# The one place that may be written, once a volume is mounted there: for the outcome ledger. A new named volume takes over this owner.
RUN mkdir -m 0700 /var/lib/localpayment-proxy && chown 65532:65532 /var/lib/localpayment-proxy \
    && touch --date "@${SOURCE_DATE_EPOCH}" /var/lib/localpayment-proxy /var/lib
ENV PATH=/opt/proxy/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Numbers, so that Kubernetes' runAsNonRoot can see that it is not root.
USER 65532:65532
WORKDIR /
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["localpayment-proxy", "healthcheck"]
# The kernel drops signals that PID 1 has no handler for; these two wait until there is one.
ENTRYPOINT ["env", "--block-signal=TERM", "--block-signal=INT", "localpayment-proxy"]
CMD ["serve"]
