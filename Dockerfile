# goemo for CPUs, with the weights of MiniLM inside: trains and predicts without a network.
#     docker build -t goemo .
#     docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" goemo train --data mine.csv
FROM python:3.12-slim

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE CHANGELOG.md requirements-runtime.txt ./
COPY goemo_cli goemo_cli
COPY configs configs
# The index of PyTorch has builds without CUDA, which are 200 MB instead of several GB.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" "$(sed -n 's/^\(torch==[^ +;]*\).*/\1/p' constraints.txt)" \
    && pip install -c constraints.txt '.[offline,onnx,parquet]' \
    && rm -rf /source/* \
    && useradd --uid 1000 --create-home goemo \
    && mkdir /work && chown goemo /work
USER 1000
WORKDIR /work
ENTRYPOINT ["goemo"]
CMD ["--help"]
