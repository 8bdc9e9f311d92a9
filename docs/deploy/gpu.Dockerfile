# docker build -f docs/deploy/gpu.Dockerfile -t samotion:gpu .
# pycuda has no wheels: it is compiled in the first stage, which has the toolkit. The second has no compiler.
FROM nvidia/cuda:12.8.1-devel-ubuntu24.04 AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/samotion
WORKDIR /source
COPY . .
RUN /opt/samotion/bin/pip install --no-cache-dir '.[gpu,ray]'

FROM nvidia/cuda:12.8.1-base-ubuntu24.04
# OpenCV's windows need the two libraries, even where none is opened.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0t64 python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --no-log-init --uid 10001 samotion
COPY --from=build /opt/samotion /opt/samotion
ENV PATH=/opt/samotion/bin:$PATH
USER 10001
WORKDIR /data
ENTRYPOINT ["samotion-run"]
