# One image for all roles: web server, daemon, code server, worker, migration. deploy/ says which command
# is which. It runs as a user without rights, on a file system that is read-only except /data and /tmp.
FROM python:3.12-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
COPY setup.py pyproject.toml README.md LICENSE ./
COPY ingest_assets ingest_assets
# Every requirement is a wheel: no compiler and no system package is needed.
RUN /venv/bin/pip install --editable ".[celery,sqs,otel]" \
    && /venv/bin/python -m compileall -q ingest_assets

FROM python:3.12-slim-bookworm

RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ingest \
    && install --directory --owner=ingest --group=ingest --mode=0700 /data \
    && install --directory --owner=ingest --group=ingest /input
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY dagster.yaml workspace.yaml /app/
COPY deploy/workspace.yaml /app/deploy/workspace.yaml

ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    INGEST_DATA_DIR=/data \
    INGEST_INPUT_DIR=/input
WORKDIR /app
USER 10001:10001
# The roles are probed in different ways, by what runs them.
HEALTHCHECK NONE
ENTRYPOINT ["ingest-assets"]
CMD ["--help"]
