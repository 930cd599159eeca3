#!/bin/sh
# The GPUs of this machine, as Spark's spark.*.resource.gpu.discoveryScript wants them: {"name": "gpu", "addresses": ["0","1"]}
set -eu
found=$(nvidia-smi --query-gpu=index --format=csv,noheader | sed 's/ //g; s/.*/"&"/' | paste -s -d ,)
echo "{\"name\": \"gpu\", \"addresses\": [$found]}"
