# The trainer: torch and e3nn beside the CPU runtime, with which `equipot export` certifies an artifact.
# Data, runs and the model store live in the volume that is mounted at /data.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE}
LABEL org.opencontainers.image.title="equipot-trainer" \
      org.opencontainers.image.description="Training and export of equivariant interatomic potentials" \
      org.opencontainers.image.licenses="MIT"
# A pip requirement; `torch==2.13.0+cpu` with an index that has it makes an image without CUDA.
ARG TORCH=torch==2.13.0
RUN python3 -m venv /opt/equipot
RUN --mount=type=cache,target=/root/.cache/pip /opt/equipot/bin/pip install "${TORCH}"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY recipes /opt/equipot/recipes
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/equipot/bin/pip install '.[train,cpu]' -r /opt/equipot/recipes/organic-xtb/requirements.txt
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
