#!/bin/bash
# sbatch docs/deploy/slurm.sh CLIPS OUT: eight tasks share the clips; OUT is on a file system that all nodes see.
#SBATCH --job-name=samotion
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=24:00:00
#SBATCH --requeue
set -euo pipefail
srun samotion-run "$1" -o "$2" --resume --quiet --threads "$SLURM_CPUS_PER_TASK" --memory 12G \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
