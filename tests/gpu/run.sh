#!/usr/bin/env bash
# What flair-bench does on a GPU: numbers against upstream's, seconds and memory beside torch on the same GPU, in a
# table (Markdown). It runs in the folder that tests/gpu/pack made, takes less than ten minutes, and installs nothing
# outside that folder.
#
#   bash DIR/run.sh                  on a machine with a GPU
#   bash DIR/run.sh --device cpu     the same steps on a few patches, to find this script's own faults
#   bash DIR/run.sh --only speed     golden tests, runs or speed alone
#   bash DIR/run.sh --seconds 300    steps that do not fit into that time are left out, and named
#
# It needs Python with torch, numpy, pillow, safetensors and timm. The program finds CUDA's libraries in the
# site-packages of that Python, where torch's wheels put them. PYTHON names another Python than python3.
# It ends with 0 if all checks passed, else with 1. Being slower than torch is no failure; the table tells.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
python=${PYTHON:-python3}
for file in golden/*.gz; do
  [ "${file%.gz}" -nt "$file" ] || gzip -dkf "$file" && touch "${file%.gz}"
done
[ -x flair-bench ] || "$python" -c 'import tarfile; tarfile.open("programs.tar.xz").extractall()'
# Every folder with a library under nvidia/ (nvidia/cu13/lib, nvidia/cudnn/lib, …), then the driver's.
libraries=$("$python" - <<'P'
import pathlib, site, sys

roots = {pathlib.Path(p) / "nvidia" for p in [*site.getsitepackages(), *sys.path] if p}
print(":".join(sorted({str(f.parent) for root in roots if root.is_dir() for f in root.rglob("lib*.so*")})))
P
)
export LD_LIBRARY_PATH=${libraries:+$libraries:}/usr/local/nvidia/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PATH=$PATH:/usr/local/nvidia/bin PYTHONUNBUFFERED=1
exec "$python" check.py "$@"
