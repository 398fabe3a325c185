"""Jobs as others see them."""

from datetime import UTC, datetime
from typing import Any

from app.jobs.job import Job
from app.jobs.options import task_of
from app.jobs.schemas import Estimate, JobOut, UnderWayOut, WebhookOut
from app.protocol.schemas import ModelOut

DAY = 86_400.0


def shown(job: Job, keep_days: float, with_secret: bool = False) -> JobOut:
    """A job as it is shown.

    Args:
        job: as it is now.
        keep_days: days that it is kept after its end.
        with_secret: whether the webhook's secret is told.
    """
    first, *others = (
        ModelOut(name=each.name, version=each.version, digest=each.digest) for each in job.models
    )
    stated: dict[str, Any] = {"models": [first, *others]} if others else {}
    if (task := task_of(job)) is not None:
        stated["task"] = task
    if job.under_way:
        stated["under_way"] = [UnderWayOut(**each._asdict()) for each in job.under_way]
    expires = None if job.ended is None else job.ended + keep_days * DAY
    webhook = None
    if job.webhook is not None:
        secret = {"secret": job.webhook_secret} if with_secret else {}
        webhook = WebhookOut(url=job.webhook, state=job.webhook_state or "waiting", **secret)
    return JobOut(
        id=job.id,
        state=job.state,
        model=None if others else first,
        **stated,
        structures=job.structures,
        done=job.answered,
        failed=job.failed,
        left=job.left,
        rate=job.rate,
        eta_seconds=job.left / job.rate if job.is_open and job.rate else None,
        estimate=Estimate(seconds=job.estimate, at_most_seconds=job.at_most, assumes=job.assumes),
        created=_moment(job.created),
        started=None if job.started is None else _moment(job.started),
        ended=None if job.ended is None else _moment(job.ended),
        expires=None if expires is None else _moment(expires),
        input_bytes=job.input_bytes,
        result_bytes=job.result_bytes,
        webhook=webhook,
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
