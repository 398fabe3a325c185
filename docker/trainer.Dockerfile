# The trainer: torch and e3nn beside the CPU runtime, with which `equipot export` certifies an artifact.
# Data, runs and the model store live in the volume that is mounted at /data.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE}
LABEL org.opencontainers.image.title="equipot-trainer" \
      org.opencontainers.image.description="Training and export of equivariant interatomic potentials" \
      org.opencontainers.image.licenses="MIT"
# Exact versions, each file by its sha256; docker/lock.sh makes the locks. Another lock may have a CPU build of torch.
ARG LOCK=docker/requirements-trainer.lock
WORKDIR /src
# Bytecode is valid by the hash of its source: by times, it is stale where a builder rounds those of files.
ARG SOURCE_DATE_EPOCH=1580601600
RUN python3 -m venv /opt/equipot && python3 -m venv /opt/build
COPY docker/requirements-build.lock docker/requirements-tables.lock docker/
COPY ${LOCK} docker/requirements.lock
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/equipot/bin/pip install --require-hashes --requirement docker/requirements.lock \
    && /opt/equipot/bin/pip install --no-deps --require-hashes --requirement docker/requirements-tables.lock \
    && /opt/build/bin/pip install --require-hashes --requirement docker/requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY client client
COPY recipes /opt/equipot/recipes
COPY docker/materials.py docker/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist ./client . \
    && /opt/equipot/bin/pip install --no-deps --no-index /dist/*.whl \
    && /opt/equipot/bin/python docker/materials.py > /opt/equipot/materials.json \
    && rm -r /opt/build /dist
RUN useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin equipot \
    && mkdir /data && chown equipot:equipot /data
ENV PATH=/opt/equipot/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /data
VOLUME /data
USER 10001:10001
ENTRYPOINT ["equipot"]
CMD ["train", "--help"]
