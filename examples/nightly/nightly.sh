#!/usr/bin/env bash
# One night: annotates what is new, checks the run, and says what a person has to look at.
#
#   nightly.sh CONFIG RUN [KEY=VALUE ...]
#
# For cron, which mails whatever is written to standard error:
#
#   30 1 * * *  cd /srv/news && ./nightly.sh job.yaml s3://runs/news 2>> nightly.log || tail -n 40 nightly.log >&2
set -uo pipefail
config=$1 run=$2
shift 2

ner-ray annotate "$config" "$@"
status=$?
case $status in
    0) ;;
    1 | 130 | 143) echo "stopped on the way: the next night, or the same command, goes on" >&2 ;;
    2) echo "nothing was annotated: the configuration or the input is wrong" >&2 ;;
    3) echo "finished, but look at: ner-ray status $run" >&2 ;;
    4) echo "last night's job is still at work" >&2 && exit 0 ;;
esac
[ "$status" -eq 2 ] || ner-ray verify "$run" || exit 1
exit "$status"
