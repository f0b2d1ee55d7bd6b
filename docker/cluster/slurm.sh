#!/usr/bin/env bash
# One job on a Slurm cluster: Ray's head on the first node, a worker on each of the others, the driver beside the head.
# The same command resumes a run that was cut off.
#   sbatch --nodes=4 slurm.sh job.yaml resources.replicas=32
#SBATCH --job-name=ner-ray
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

port=6379
read -r head others < <(scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' ')
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{print $1}')
workers=$(wc -w <<<"${others:-}")

export RAY_AUTH_MODE=token
RAY_AUTH_TOKEN=$(head --bytes=32 /dev/urandom | base64 --wrap=0)
export RAY_AUTH_TOKEN
export NER_RAY_CACHE=${SLURM_TMPDIR:-/tmp}/ner_ray

start() { srun --overlap --nodes="$1" --ntasks="$1" --nodelist="$2" "${@:3}" & }

start 1 "$head" ray start --head --block --node-ip-address="$address" --port="$port" --dashboard-host=127.0.0.1 \
    --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$SLURM_GPUS_ON_NODE"
sleep 20
if ((workers)); then
    start "$workers" "${others// /,}" ray start --block --address="$address:$port" \
        --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="$SLURM_GPUS_ON_NODE"
fi

# SIGTERM, two minutes before the time is up, stops the job in order; nothing that is committed is lost.
RAY_ADDRESS=$address:$port srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ner-ray annotate "$@" resources.wait_seconds=600 &
driver=$!
trap 'kill -TERM $driver' TERM
wait "$driver"
