"""The nightly job in Airflow 3: annotate what is new, check the run, mark the night as failed if either fails.

A retry runs the same command, which goes on where the attempt before it has stopped. The worker needs `ner-ray`, and
for a cluster `RAY_ADDRESS`.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

CONFIG = "/srv/news/job.yaml"
RUN = "s3://runs/news"
ANOTHER_DRIVER = 4  # exit status: last night's job is still at work

with DAG(
    "ner_ray_nightly",
    schedule="30 1 * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # in the time zone of Airflow
    catchup=False,  # one night does the work of all that were missed
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10), "append_env": True},
) as dag:
    annotate = BashOperator(
        task_id="annotate", bash_command=f"ner-ray annotate {CONFIG}", skip_on_exit_code=ANOTHER_DRIVER
    )
    verify = BashOperator(task_id="verify", bash_command=f"ner-ray verify {RUN}")
    annotate >> verify
