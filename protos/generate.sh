#!/bin/sh
# Generate services/pb from protos/recal/v1. Usage: protos/generate.sh [OUTPUT_ROOT]
#
# grpcio-tools is pinned to the oldest version that we support at run time (its generated code
# refuses older runtimes), and it needs protobuf < 6: so it lives in a venv of its own under build/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root}
tools=$root/build/protoc-1.71.2
if ! "$tools/bin/python" -c 'import grpc_tools' 2>/dev/null; then
    rm -rf "$tools"
    "${PYTHON:-python3}" -m venv "$tools"
    "$tools/bin/pip" install --quiet 'grpcio-tools==1.71.2' 'setuptools<81'
fi
mkdir -p "$out/services/pb"
cd "$root"
"$tools/bin/python" -m grpc_tools.protoc -Iservices/pb=protos/recal/v1 \
    --python_out="$out" --pyi_out="$out" --grpc_python_out="$out" protos/recal/v1/recal.proto
