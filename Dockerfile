# The engine with its kernels compiled, as an unprivileged user.  Kernels are compiled for the CPU that builds the image;
# a container on another kind of CPU compiles them again at its first start.
FROM python:3.11-slim-bookworm

RUN useradd --create-home --uid 10001 aiops
WORKDIR /opt/aiops
COPY pyproject.toml README.md LICENSE ./
COPY aiops aiops
COPY streams streams
RUN pip install --no-cache-dir '.[kafka]'

USER aiops
ENV NUMBA_CACHE_DIR=/home/aiops/.cache/numba
RUN aiops demo > /dev/null
RUN python -m streams.warm
WORKDIR /home/aiops
ENTRYPOINT ["aiops"]
CMD ["demo"]
