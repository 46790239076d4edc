"""Long-running operations behind the API: one durable runner, and the kinds of task beside it, one file each.

tasks = Tasks(store, directory, clock, options)          # what surfaces ask for
runner = build_runner(store, node_id, clock, options)    # what works on it
store.subscribe(runner.heard)
runner.start()
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.jobs.announced import AnnouncedJobs
from hookline.jobs.application_stats import ApplicationStats
from hookline.jobs.bulk_replay import BulkReplay
from hookline.jobs.event_type_stats import EventTypeStats
from hookline.jobs.options import JobOptions
from hookline.jobs.purge_content import PurgeContent
from hookline.jobs.recover import Recover
from hookline.jobs.replay_missing import ReplayMissing
from hookline.jobs.replaying import Replaying
from hookline.jobs.respond import Respond
from hookline.jobs.run import Kind, Run, TaskCanceledError, TaskFailedError, TurnOverError
from hookline.jobs.runner import Runner
from hookline.jobs.tasks import BulkReplayForm, Tasks, Window
from hookline.jobs.usage import UsageWalk
from hookline.services.inference import Backend
from hookline.store.protocol import Store

__all__ = [
    "BulkReplayForm",
    "JobOptions",
    "Kind",
    "Run",
    "Runner",
    "TaskCanceledError",
    "TaskFailedError",
    "Tasks",
    "TurnOverError",
    "Window",
    "build_job_runner",
    "build_kinds",
    "build_runner",
]


def build_kinds(store: Store, clock: Clock, options: JobOptions) -> list[Kind]:
    """All kinds of tasks there are."""
    replaying = Replaying(store, clock, options)
    usage = UsageWalk(store, options)
    return [
        Recover(replaying),
        ReplayMissing(replaying),
        BulkReplay(replaying),
        PurgeContent(store, options),
        ApplicationStats(usage),
        EventTypeStats(usage),
    ]


def build_runner(store: Store, node_id: str, clock: Clock, options: JobOptions) -> Runner:
    """The runner of a node; start it when the store is open."""
    return Runner(store, build_kinds(store, clock, options), node_id, clock, options)


def build_job_runner(store: Store, backend: Backend, node_id: str, clock: Clock, options: JobOptions) -> Runner:
    """The runner of jobs that announce themselves: beside the other one, so that neither waits for the other."""
    return Runner(AnnouncedJobs(store), [Respond(backend)], node_id, clock, options)
