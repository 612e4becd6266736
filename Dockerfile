# The relay in a container: one process tree, not root, all that it keeps in /data. See docs/operations.md.
FROM python:3.13-slim AS build
COPY requirements.txt /tmp/requirements.txt
# pysqlite3 only as a wheel, which brings a sound SQLite; built here it would take the system's.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --only-binary=pysqlite3 -r /tmp/requirements.txt

FROM python:3.13-slim
RUN groupadd --system --gid 10001 mailferry \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin mailferry \
    && install --directory --owner=mailferry --group=mailferry --mode=0700 /data
COPY --from=build /venv /venv
WORKDIR /app
COPY app.py config.py gunicorn.conf.py LICENSE ./
COPY controllers controllers
COPY models models
COPY services services
COPY static static
COPY templates templates
COPY utils utils
COPY workers workers
RUN /venv/bin/python -m compileall -q /app
# Only the container listens on all addresses; publish the port on 127.0.0.1 or behind a proxy with TLS.
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOST=0.0.0.0 \
    PORT=5000 \
    DATA_DIR=/data \
    ENV_FILE=/data/.env
USER 10001:10001
VOLUME /data
EXPOSE 5000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/health' % os.environ['PORT'], timeout=4)"]
# The exec form: gunicorn takes the place of app.py as process 1, and gets the SIGTERM of `docker stop`.
ENTRYPOINT ["python", "app.py"]
CMD ["serve"]
