# Two images with one environment, the Airbyte source and the tap by itself:
#   docker build --tag source-botsessions:0.1.0 .
#   docker build --tag tap-botsessions:0.1.0 --target tap .

# Any base will do that has Python 3.11 or newer and pip: --build-arg BASE=...
ARG BASE=docker.io/airbyte/python-connector-base:4.1.0@sha256:1d1aa21d34e851df4e8a87b391c27724c06e2597608e7161f4d167be853bd7b6

FROM ${BASE} AS build
RUN pip install --no-cache-dir uv==0.13.8
WORKDIR /source
# In pyproject.toml it says to compile bytecode.
COPY pyproject.toml requirements.txt README.md LICENSE ./
# An environment of its own, since the base has packages of other versions.
RUN uv venv /opt/source
RUN uv pip install --python /opt/source --require-hashes --requirements requirements.txt
COPY tap_botsessions/ tap_botsessions/
RUN uv pip install --python /opt/source --no-deps .

FROM ${BASE} AS tap
COPY --from=build /opt/source /opt/source
# Airbyte's user, by number, so that Kubernetes can tell that it is not root.
USER 1000
ENTRYPOINT ["/opt/source/bin/tap-botsessions"]

FROM tap AS source
LABEL io.airbyte.name=source-botsessions
LABEL io.airbyte.version=0.1.0
# The platform runs what the variable says, and not the entry point.
ENV AIRBYTE_ENTRYPOINT=/opt/source/bin/source-botsessions
ENTRYPOINT ["/opt/source/bin/source-botsessions"]
