# The service on an NVIDIA GPU. CUDA and cuDNN come as Python packages; the host gives the driver only.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# Bytecode is valid by the hash of its source: by times, it is stale where a builder rounds those of files.
ARG SOURCE_DATE_EPOCH=1580601600
RUN python3 -m venv /opt/equipot && python3 -m venv /opt/build
# Exact versions, each file by its sha256; docker/lock.sh makes the locks.
COPY docker/requirements-build.lock docker/requirements-gpu.lock docker/
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/equipot/bin/pip install --require-hashes --requirement docker/requirements-gpu.lock \
    && /opt/build/bin/pip install --require-hashes --requirement docker/requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY client client
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist ./client . \
    && /opt/equipot/bin/pip install --no-deps --no-index /dist/*.whl
# What a finished environment does not need: ASE's plots (matplotlib and what it brings), tests, pip. The rest is listed
# in materials.json, with versions and licences.
COPY docker/materials.py docker/
RUN /opt/equipot/bin/pip uninstall --yes \
        matplotlib contourpy cycler fonttools kiwisolver pillow pyparsing python-dateutil six setuptools pip \
    && find /opt/equipot/lib -type d -name tests -prune -exec rm -r {} + \
    && /opt/equipot/bin/python docker/materials.py > /opt/equipot/materials.json

# What `--build-arg IMPORT=…` names is imported by the trainer's packages, which the image of the service does not have.
FROM ${BASE} AS models
ARG IMPORT=""
ARG LOCK=docker/requirements-trainer.lock
WORKDIR /src
COPY ${LOCK} docker/requirements.lock
COPY app app
COPY client client
COPY model_store model_store
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ -n "$IMPORT" ]; then \
        python3 -m venv /opt/trainer \
        && /opt/trainer/bin/pip install --require-hashes --requirement docker/requirements.lock \
        && for model in $IMPORT; do \
            PYTHONPATH=/src:/src/client /opt/trainer/bin/python -m app.cli.main models import "$model" --model-store /src/model_store || exit 1; \
        done; \
    fi

FROM ${BASE}
LABEL org.opencontainers.image.title="equipot-gpu" \
      org.opencontainers.image.description="Equivariant interatomic potentials, served over HTTP, on CUDA" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /srv/equipot --shell /usr/sbin/nologin equipot \
    && install --directory --owner=equipot --group=equipot /var/lib/equipot
COPY --from=build /opt/equipot /opt/equipot
COPY --from=models /src/model_store /srv/equipot/model_store
# It has to listen on all addresses of the container. Who reaches those is decided by what is published, and who may ask
# by EQUIPOT_API_KEYS_FILE, beside which EQUIPOT_ALLOW_ANONYMOUS has no effect.
# `docker stop` kills after ten seconds, so requests in flight get eight to finish.
ENV PATH=/opt/equipot/bin:${PATH} \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    EQUIPOT_HOST=0.0.0.0 \
    EQUIPOT_ALLOW_ANONYMOUS=true \
    EQUIPOT_PORT=8000 \
    EQUIPOT_DEVICE=cuda \
    EQUIPOT_MODEL_STORE=/srv/equipot/model_store \
    EQUIPOT_JOBS_FOLDER=/var/lib/equipot \
    EQUIPOT_DRAIN_TIMEOUT=8
WORKDIR /srv/equipot
RUN equipot models verify \
    && python3 -c "import app.api.app, app.jobs.opened, psycopg; from app.backends.onnx_runtime import require_onnxruntime as r; r()"
# Jobs outlive the container in a volume.
VOLUME /var/lib/equipot
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"EQUIPOT_PORT\"]}/readyz', timeout=4)"]
ENTRYPOINT ["equipot"]
CMD ["serve"]
