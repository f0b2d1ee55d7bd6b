#!/usr/bin/env bash
# Checks ner_ray on a machine with GPUs in about ten minutes, without a network, and prints one table.
#
#   tests/gpu/check.sh                         with the python of this environment (PYTHON=... for another)
#   tests/gpu/check.sh --wheels FOLDER         installs ner-ray and all it needs from a folder of wheels, into a venv
#   tests/gpu/check.sh --image NER-RAY-IMAGE   inside an image, built by docker/Dockerfile (needs docker and its GPUs)
#   tests/gpu/check.sh --tiny                  the same steps with tiny models, also on CPUs: whether the script works
#
# Further options go to check.py: --steps a,b (see --list), --seconds 600, --folder DIR (for models, about 15 GB), --json.
# All models have random weights and are made here from configurations; nothing is downloaded. What a machine lacks (vLLM,
# Ray, peft, a second GPU) is skipped, and the table says why. Exit status 1 if a step failed.
#
# Written on a machine without GPUs: run there with --tiny only. On GPUs it has not been run yet.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
python=${PYTHON:-python3}
options=()
while (($#)); do
    case $1 in
        --wheels)
            venv=$(mktemp -d)/venv
            "$python" -m venv "$venv"
            "$venv/bin/pip" install --quiet --no-index --find-links "$2" 'ner-ray[gpu,train,transformers]'
            python=$venv/bin/python
            shift 2
            ;;
        --image)
            image=$2
            shift 2
            exec docker run --rm --gpus all --network none --shm-size 16g --volume "$root/tests:/check/tests:ro" \
                "$image" bash /check/tests/gpu/check.sh "${options[@]}" "$@"
            ;;
        --help)
            sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
            exit
            ;;
        *)
            options+=("$1")
            shift
            ;;
    esac
done

export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 VLLM_NO_USAGE_STATS=1
# A checkout is used where ner-ray is not installed; the tests' own modules come from it in any case.
"$python" -c "import ner_ray" 2>/dev/null || [[ ! -d $root/ner_ray ]] || export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
exec "$python" "$here/check.py" "${options[@]}"
