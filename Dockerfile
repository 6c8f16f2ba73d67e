# One image a use. The results lie in /out and belong to whoever owns the folder that is mounted there (containers/entrypoint):
#     docker build -t fqss . && docker run -v "$PWD/out:/out" fqss deploy --model convtasnet
# --target: runtime (runs and judges files, no torch), deploy (what is built without it), train (compiled steps, rendered songs),
# dev (tests), firmware (compilers and emulators of microcontrollers, Vela); docs/how-to/containers.md.
# CPU torch comes from the index that pip is told of: --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu

ARG BASE=docker.io/library/python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
# hadolint ignore=DL3006
FROM ${BASE} AS base
ARG VERSION=0.1.0
ARG REVISION=
ARG CREATED=
ARG SOURCE_DATE_EPOCH=
LABEL org.opencontainers.image.title="fqss-deploy" \
      org.opencontainers.image.description="Int8 source separation networks proven on the device" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"
# SOURCE_COMMIT: there is no checkout to ask. USER: torch asks for a name, which an arbitrary user id has not.
ENV PATH=/opt/venv/bin:$PATH HOME=/tmp USER=fqss PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/cache MPLCONFIGDIR=/cache/matplotlib TORCHINDUCTOR_CACHE_DIR=/cache/inductor \
    SOURCE_COMMIT=${REVISION} SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH}
COPY --chmod=755 containers/entrypoint /usr/local/bin/entrypoint
RUN mkdir -m 1777 /out /cache && chown 10001:10001 /out
WORKDIR /out
ENTRYPOINT ["entrypoint", "fqss"]
CMD ["--help"]

FROM base AS runtime-files
ARG PIP_INDEX_URL
WORKDIR /src
COPY requirements requirements
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps -r requirements/judge.lock
COPY . .
# nothing here reads weights; a date that is not given is no date to wheel
RUN { [ -n "$SOURCE_DATE_EPOCH" ] || unset SOURCE_DATE_EPOCH; } \
 && rm pipeline/weights/*/*.safetensors \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps . \
 && /opt/venv/bin/python -m pip uninstall --quiet --yes pip setuptools \
 && find /opt/venv -type d -name tests -prune -exec rm -rf {} +

FROM base AS runtime
COPY --from=runtime-files /opt/venv /opt/venv

FROM base AS deploy-files
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /app
COPY requirements requirements
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps -r requirements/main.lock \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet -r requirements/torch.in \
 && rm -rf /opt/venv/lib/python3.*/site-packages/torch/include /opt/venv/lib/python3.*/site-packages/torch/test
COPY . .
RUN { [ -n "$SOURCE_DATE_EPOCH" ] || unset SOURCE_DATE_EPOCH; } \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps --no-build-isolation -e . \
 && /opt/venv/bin/python -m compileall -q edge_runtime export_specs fqss pipeline validation \
 && ln -s /cache .cache

FROM base AS deploy
# torch's threads
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=deploy-files /opt/venv /opt/venv
COPY --from=deploy-files /app /app

FROM deploy AS train
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends g++ fluidsynth fluid-soundfont-gm && rm -rf /var/lib/apt/lists/*
RUN /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps -r /app/requirements/train.lock

FROM train AS dev
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc git make openssl && rm -rf /var/lib/apt/lists/*
WORKDIR /app
# make's names, not the shell's
# hadolint ignore=SC2016
RUN ln -s /opt/venv .venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --no-deps \
    -r requirements/test.lock -r requirements/references.lock -r requirements/release.lock -r requirements/docs.lock \
 && make -s --eval='stamps: ; @touch $(MAIN) $(TEST)' stamps
ENTRYPOINT []
CMD ["make", "lint", "test"]

FROM base AS firmware
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends clang cmake gcc gcc-arm-none-eabi g++ libc6-dev libnewlib-arm-none-eabi make qemu-system-arm qemu-user \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/vela && /opt/vela/bin/python -m pip install --no-cache-dir --quiet ethos-u-vela==5.2.0 \
 && ln -s /opt/vela/bin/vela /usr/local/bin/vela
ENTRYPOINT ["entrypoint"]
CMD ["make", "--version"]

FROM deploy
