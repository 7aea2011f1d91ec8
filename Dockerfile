# One image for Ray's head and workers, the download Job, and `docker run`. docs/kubernetes.md.
#   docker build -t inpaint-serve:0.1.0-cpu .
#   docker build -t inpaint-serve:0.1.0-cuda --build-arg VARIANT=cuda .
# TORCH_INDEX: pip's address of PyTorch's CPU builds. Without it the image for CPUs works too, and
# is some GB larger, since the registry's own build brings CUDA along.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG VARIANT=cpu
ARG TORCH_INDEX=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/inpaint
COPY pyproject.toml constraints.txt README.md LICENSE serve_config.yaml ./
COPY configs configs
COPY inpaint inpaint
COPY inpaint_client inpaint_client
COPY deployments deployments
COPY serve_app serve_app
RUN --mount=type=cache,target=/root/.cache/pip \
    case "$VARIANT" in \
      cpu) extras=client,diffusion,ocr,openvino ;; \
      cuda) extras=client,diffusion,ocr ;; \
      *) echo "VARIANT is cpu or cuda, not '$VARIANT'" >&2; exit 1 ;; \
    esac \
 && /opt/inpaint/bin/pip install -c constraints.txt \
      ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[$extras]" \
 && /opt/inpaint/bin/pip check

FROM ${PYTHON_IMAGE}
# bash, wget: KubeRay's readiness probe. libgl1, libglib2.0-0: OpenCV. libgomp1: OpenMP.
# hadolint ignore=DL3008,SC2016
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash libgl1 libglib2.0-0 libgomp1 wget \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 1000 inpaint \
 && useradd --uid 1000 --gid 1000 --create-home inpaint \
 && install -d -o inpaint -g inpaint /models \
 # A login shell, which KubeRay may be told to use, sets PATH anew.
 && echo 'PATH=/opt/inpaint/bin:$PATH' > /etc/profile.d/inpaint.sh
COPY --from=build /opt/inpaint /opt/inpaint
# NVIDIA_VISIBLE_DEVICES is left to Kubernetes: set here, it would show every GPU to every pod.
ENV PATH=/opt/inpaint/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_app.proxy:layers \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000:1000
WORKDIR /home/inpaint
VOLUME /models
# For `docker run --network=host`; Kubernetes has commands and probes of its own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=90s \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/healthz"]
CMD ["inpaint-serve", "start", "--port=8080", "--model-dir=/models"]
