"""Fills a database: tasks of one owner, and executions with attempts and logs, as the operator would have left them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import psycopg2

from cronwright_core.store.partitions import ensure_partitions
from cronwright_core.store.session import Database

BUSY_TASK = 1
"""The task that a tenth of all executions belongs to; the others share the rest evenly."""
FIRST = "2026-01-01 00:00:00+00"
MONTHS = [(2026, month) for month in range(1, 5)]
BATCH = 100_000

PROJECT = {
    **{name: [] for name in ("command", "args", "env", "image_pull_secrets")},
    **{name: {} for name in ("resources", "security_context")},
    **dict.fromkeys(("service_account_name", "image_pull_policy", "workspace")),
}

TASKS = """
INSERT INTO tasks (state, cr_uid, namespace, cr_name, generation, name, owner, project_id, schedule_type,
    schedule_config, time_zone, is_active, timeout_seconds, max_instances, retry_count, priority, spec, next_run_time,
    ready, created_at, updated_at)
SELECT 'active', 'uid-' || i, 'team', 'task-' || i, 1, 'nightly report ' || i, 'alice', 1, 'CRON', '0 2 * * *', 'UTC',
    i % 10 <> 0, 3600, 1, 3, i % 7,
    '{"project_name": "data", "owner": "alice", "concurrency_policy": "Forbid", "max_queued": 10,
      "starting_deadline_seconds": null, "pending_deadline_seconds": 900, "spread_seconds": 0, "image": null,
      "command": null, "args": null, "env": [], "resources": null}',
    timestamptz '2026-05-01+00' + i * interval '1 s', true, timestamptz '2026-01-01+00' + i * interval '1 s', now()
FROM generate_series(1, %(tasks)s) i
"""
# The k-th execution: every tenth is the busy task's; the others go round. 100 s apart within all, so about 4 months.
RUNS = """
CREATE TEMPORARY TABLE runs ON COMMIT DROP AS
SELECT t, 'exec-' || to_char(t AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') || '-' || lpad(to_hex(k), 16, '0') AS id, task,
    CASE WHEN k %% 37 = 0 THEN 'FAILED' WHEN k %% 101 = 0 THEN 'TIMEOUT' ELSE 'SUCCESS' END AS status, k
FROM (SELECT k, CASE WHEN k %% 10 = 0 THEN 1 ELSE 2 + (k / 10 * 9 + k %% 10) %% (%(tasks)s - 1) END AS task,
        timestamptz '2026-01-01+00' + (k * %(step)s) * interval '1 s' AS t
      FROM generate_series(%(first)s::bigint, %(last)s::bigint) k) AS numbered
"""
EXECUTIONS = """
INSERT INTO executions (execution_time, execution_id, task_id, task_uid, task_name, owner, project_id, namespace,
    job_name, job_uid, kind, scheduled_time, status, start_time, end_time, exit_code, output_summary, created_at,
    updated_at)
SELECT t, id, task, 'uid-' || task, 'nightly report ' || task, 'alice', 1, 'team', 'job-' || k, 'job-uid-' || k,
    'Scheduled', t, status, t, t + k % 300 * interval '1 s', CASE status WHEN 'SUCCESS' THEN 0 ELSE 1 END,
    '处理了1000条记录，成功同步到数据库', t, t FROM runs
"""
ATTEMPTS = """
INSERT INTO attempts (execution_time, execution_id, number, pod_name, pod_uid, status, created_time, start_time,
    end_time, exit_code)
SELECT t, id, 1, 'pod-' || k, 'pod-uid-' || k, status, t, t, t + k % 300 * interval '1 s',
    CASE status WHEN 'SUCCESS' THEN 0 ELSE 1 END FROM runs
"""
STREAMS = """
INSERT INTO log_streams (execution_time, execution_id, attempt, stream, lines, bytes, complete, last_modified)
SELECT t, id, 1, 'stdout', 5, 5 * octet_length('2024-01-01 02:00:01 [INFO] 开始执行数据同步任务' || chr(10)), true, t
FROM runs
"""
CHUNKS = """
INSERT INTO log_chunks (execution_time, execution_id, attempt, stream, first_line, line_count, byte_count, data)
SELECT t, id, 1, 'stdout', 0, 5, octet_length(line) * 5, convert_to(repeat(line, 5), 'UTF8')
FROM runs, (SELECT '2024-01-01 02:00:01 [INFO] 开始执行数据同步任务' || chr(10) AS line) AS lines
"""
COUNTS = """
INSERT INTO execution_days (task_id, day, success, failed, timeout)
SELECT task_id, (execution_time AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE status = 'SUCCESS'),
    count(*) FILTER (WHERE status = 'FAILED'), count(*) FILTER (WHERE status = 'TIMEOUT')
FROM executions GROUP BY 1, 2;
INSERT INTO task_days (task_id, day, success, failed)
SELECT task_id, day, success, failed + timeout FROM execution_days;
INSERT INTO task_stats (task_id, success_count, failed_count, duration_sum_seconds, duration_count, last_execution_id,
    last_execution_time, last_status, last_start_time, last_end_time)
SELECT DISTINCT ON (task_id) task_id, count(*) FILTER (WHERE status = 'SUCCESS') OVER each,
    count(*) FILTER (WHERE status <> 'SUCCESS') OVER each,
    sum(extract(epoch FROM end_time - start_time)) OVER each, count(*) OVER each, execution_id, execution_time, status,
    start_time, end_time
FROM executions WINDOW each AS (PARTITION BY task_id) ORDER BY task_id, execution_time DESC
"""


def fill(url: str, tasks: int, executions: int, say: Callable[[str], None]) -> None:
    """Writes everything, a batch of executions a transaction; the counts follow at the end."""
    database = Database(url, application_name="bench")
    with database.transaction() as partitions:
        ensure_partitions(partitions, MONTHS)
    database.dispose()
    step = 120 * 86_400 // executions if executions <= 120 * 86_400 else 1
    connection = psycopg2.connect(url)
    connection.autocommit = False
    started = time.monotonic()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO projects (state, cr_uid, namespace, cr_name, generation, display_name, owner, image, spec,"
            " created_at, updated_at) VALUES ('active', 'uid-p', 'team', 'data', 1, 'data', 'alice', 'busybox', %s,"
            " now(), now())",
            (json.dumps(PROJECT),),
        )
        cursor.execute(TASKS.replace("i % ", "i %% "), {"tasks": tasks})
    for first in range(1, executions + 1, BATCH):
        last = min(first + BATCH - 1, executions)
        with connection, connection.cursor() as cursor:
            cursor.execute(RUNS, {"tasks": tasks, "step": max(step, 1), "first": first, "last": last})
            for statement in (EXECUTIONS, ATTEMPTS, STREAMS, CHUNKS):
                cursor.execute(statement)
        say(f"{last:>9,} executions with attempts and logs, {time.monotonic() - started:.0f} s")
    with connection, connection.cursor() as cursor:
        cursor.execute(COUNTS)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    connection.close()
    say(f"counts and statistics, {time.monotonic() - started:.0f} s")
