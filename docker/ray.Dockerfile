# A node of a Ray cluster: the service, screens and labelling on a CPU. KubeRay, or who starts it, says what it runs:
# `ray start`. Ray's own processes need the packages that the image of the service leaves out.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# Bytecode is valid by the hash of its source: by times, it is stale where a builder rounds those of files.
ARG SOURCE_DATE_EPOCH=1580601600
RUN python3 -m venv /opt/equipot && python3 -m venv /opt/build
# Exact versions, each file by its sha256; docker/lock.sh makes the locks.
COPY docker/requirements-build.lock docker/requirements-cluster.lock docker/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/equipot/bin/pip install --require-hashes --requirement docker/requirements-cluster.lock \
    && /opt/build/bin/pip install --require-hashes --requirement docker/requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY client client
COPY kernel kernel
# The compiler is left behind with this stage.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends g++ cmake make && rm -rf /var/lib/apt/lists/*
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist ./client ./kernel . \
    && /opt/equipot/bin/pip install --no-deps --no-index /dist/*.whl
COPY docker/materials.py docker/
RUN /opt/equipot/bin/python docker/materials.py > /opt/equipot/materials.json

FROM ${BASE}
LABEL org.opencontainers.image.title="equipot-ray" \
      org.opencontainers.image.description="Equivariant interatomic potentials, a node of a Ray cluster" \
      org.opencontainers.image.licenses="MIT"
# The probes that KubeRay makes ask with wget.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --home-dir /home/equipot --shell /bin/bash equipot
COPY --from=build /opt/equipot /opt/equipot
COPY model_store /srv/equipot/model_store
ENV PATH=/opt/equipot/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    EQUIPOT_MODEL_STORE=/srv/equipot/model_store \
    EQUIPOT_JOBS_FOLDER=
WORKDIR /home/equipot
RUN equipot models verify && python3 -c "import app.cluster.serving, app.cluster.screen"
USER 10001:10001
CMD ["bash"]
