# The product with its environment: `docker run IMAGE` runs make deploy; add settings, e.g. `docker run IMAGE PROFILE=ptq`.
# Its music is data/embedded-stems; DATA=rendered-stems needs fluidsynth and fluid-soundfont-gm too.
# CPU torch comes from the package index that pip is configured for (build argument PIP_EXTRA_INDEX_URL, or a pip.conf in the base image).

FROM python:3.11-slim-bookworm AS builder
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY requirements/main.lock requirements/
RUN python3 -m venv .venv && .venv/bin/python -m pip install --no-cache-dir --quiet -r requirements/main.lock \
 && find .venv -name __pycache__ -type d -prune -exec rm -rf {} + \
 && rm -rf .venv/lib/python3.11/site-packages/torch/include .venv/lib/python3.11/site-packages/torch/test
COPY . .
RUN .venv/bin/python -m pip install --no-cache-dir --quiet --no-deps --no-build-isolation -e . \
 && touch ".venv/.installed-$(cat requirements/main.lock pyproject.toml | sha256sum | cut -c1-12)"

FROM python:3.11-slim-bookworm
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make libgomp1 && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 10001 deploy
COPY --from=builder --chown=deploy:deploy /app /app
WORKDIR /app
USER deploy
ENV HOME=/home/deploy MPLCONFIGDIR=/tmp/matplotlib PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["make", "deploy"]
CMD ["MODEL=convtasnet", "TARGET=tflite-int8"]
