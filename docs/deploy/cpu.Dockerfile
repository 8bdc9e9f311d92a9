# docker build -f docs/deploy/cpu.Dockerfile -t samotion:cpu .
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
RUN --mount=from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/samotion-*.whl)[headless,ray]" \
    && useradd --create-home --no-log-init --uid 10001 samotion
USER 10001
WORKDIR /data
ENTRYPOINT ["samotion-run"]
