"""What needs a person now, what each channel was told of it, and the letters that follow from both.

Belongs here: finding what is wrong with documents, comparing, and recording what was told. Does not
belong here: what else is wrong (`troubles`), the text of a letter (`message`), and sending it
(`channels`).

Each evaluation compares what is wrong now with what was told: it relies on nothing that an earlier one
did but the rows of `ingest.alerts`, one for each trouble that a channel was told of and that is not
over. They are written after a letter was sent; a process that is killed in between has it sent once
more. A lock in Postgres lets one process at a time evaluate, so that two daemons send one letter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from ingest_assets.catalogue import FAULTS
from ingest_assets.errors import ConfigurationError, IngestError
from ingest_assets.failpoints import failpoint
from ingest_assets.operations.alerts.message import DOCUMENTS, Group, Letter, daily, needing, news
from ingest_assets.operations.alerts.troubles import MAY_PASS, Trouble
from ingest_assets.operations.retry_policy import RetryRules, needing_a_person
from ingest_assets.operations.status import WITHOUT_RESULT, read_status
from ingest_assets.operations.withheld import withheld_launches
from ingest_assets.store.database import Database
from ingest_assets.text import counted

if TYPE_CHECKING:
    # It imports apprise, which takes half a second that most processes need not spend.
    from ingest_assets.operations.alerts.channels import Channels

# What goes wrong together is told together: a letter waits until nothing more has for this long.
_QUIET_SECONDS = 60.0
_NAMED = 5

_UNREACHABLE = "database_unreachable"
_UNREACHABLE_TITLE = "The documents' database cannot be asked."


@dataclass(frozen=True)
class AlertRules:
    """When people are told.

    Attributes:
        retries: when a document is tried again by itself, and so needs no person yet.
        stalled_minutes: documents may wait for so long without one being worked on.
        pause_minutes: between two letters through one channel.
        digest_hour: the hour, of this process's time zone, after which the daily letter is sent; None
            if there is none.
        dagit: address of Dagit, without a slash at its end.
        place: which deployment this is, in words.
    """

    retries: RetryRules
    stalled_minutes: float
    pause_minutes: float
    digest_hour: int | None
    dagit: str
    place: str


@dataclass(frozen=True)
class Told:
    """What an evaluation found and did.

    Attributes:
        wrong: titles of all that needs a person now.
        sent: channels that a letter went through.
        failed: why it did not, by channel.
    """

    wrong: Sequence[str]
    sent: Sequence[str]
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [needing(len(self.wrong)).capitalize()]
        if self.sent:
            parts.append(f"told through {', '.join(self.sent)}")
        parts += [f"NOT told through {name}: {why}" for name, why in self.failed.items()]
        return "; ".join(parts)


def evaluate(
    database: Database,
    channels: Channels,
    rules: AlertRules,
    found: Sequence[Trouble] = (),
    why_stalled: Callable[[], str] = str,
    awake_since: datetime | None = None,
    memory: str = "",
) -> Told:
    """Tell each channel what is new to it of what needs a person, and what is over.

    Args:
        found: what the caller knows to be wrong; what is in the documents' database is found here.
        why_stalled: asked where documents wait and none is worked on; returns what hinders them, if it
            is known.
        awake_since: documents cannot have been worked on before, because the pipeline did not run.
        memory: what `tell_without_database` returned, if it was called since the last evaluation.
    """
    with database.exclusive("ingest_assets alerts") as connection, _wrong(connection):
        _recall(connection, memory)
        _gather_documents(connection, rules.retries)
        queue = _wrong_set_up(connection) or _stalled(
            connection, rules.stalled_minutes, why_stalled, awake_since
        )
        _add(connection, [*found, *queue, *_not_looked_at(connection)])
        _keep(connection)
        connection.execute(
            text("DELETE FROM ingest.alert_channels WHERE channel <> ALL(:names)"),
            {"names": list(channels.names)},
        )
        letters: dict[str, Letter] = {}
        digests = set()
        for name in channels.names:
            letter = _letter(connection, name, rules)
            if _digest_due(connection, name, rules):
                digests.add(name)
                letter = daily(
                    letter,
                    _groups(connection, name),
                    _last_day(connection),
                    read_status(database),
                    rules.dagit,
                    rules.place,
                )
            if letter:
                letters[name] = letter
        titles = [group.title for group in _groups(connection, "")]
        connection.commit()
        failed = {}
        for name, fault in channels.send(letters).items():
            failpoint("alert.sent")
            _record(connection, name, fault, digest=name in digests)
            connection.commit()
            if fault:
                failed[name] = fault
    return Told(titles, [name for name in letters if name not in failed], failed)


def tell_without_database(
    channels: Channels, rules: AlertRules, fault: IngestError, memory: str
) -> tuple[Told, str]:
    """Tell of a fault that keeps `evaluate` from asking the documents' database.

    What was told stands in no row then: the caller keeps it.

    Args:
        memory: what the last such call returned; empty if `evaluate` has succeeded since then.

    Returns:
        What was done, and what the caller has to keep. Nothing is told in the first two minutes.
    """
    now = datetime.now(timezone.utc)
    known: dict[str, Any] = json.loads(memory) if memory else {"since": now.isoformat(), "told": []}
    since = datetime.fromisoformat(known["since"])
    came: Mapping[str, str] = {}
    if now - since >= MAY_PASS:
        detail = f"{fault.message} What to do: {fault.remedy} Until then no document is worked on."
        group = Group(_UNREACHABLE, _UNREACHABLE_TITLE, detail, 0, since, fresh=1)
        letter = news([group], [], rules.dagit, rules.place)
        came = channels.send({name: letter for name in channels.names if name not in known["told"]})
    sent = [name for name, why in came.items() if not why]
    failed = {name: why for name, why in came.items() if why}
    kept = {"since": known["since"], "told": [*known["told"], *sent]}
    return Told([_UNREACHABLE_TITLE], sent, failed), json.dumps(kept)


def _recall(connection: Connection, memory: str) -> None:
    """What was told while the database could not be asked has a row from now on, so that it ends."""
    known = json.loads(memory) if memory else {"told": []}
    for channel in known["told"]:
        connection.execute(
            text("""
                INSERT INTO ingest.alert_channels (channel) VALUES (:channel) ON CONFLICT DO NOTHING;
                INSERT INTO ingest.alerts (channel, topic, partition_key, title, since)
                VALUES (:channel, :topic, NULL, :title, CAST(:since AS timestamptz))
                ON CONFLICT DO NOTHING
            """),
            {
                "channel": channel,
                "topic": _UNREACHABLE,
                "title": _UNREACHABLE_TITLE,
                "since": known["since"],
            },
        )


@contextmanager
def _wrong(connection: Connection) -> Iterator[None]:
    """A block with the temporary table `wrong`: what is wrong now, a row a document or trouble."""
    connection.execute(text("DROP TABLE IF EXISTS pg_temp.wrong"))
    connection.execute(
        text("""
            CREATE TEMP TABLE wrong (
                topic text NOT NULL, partition_key text, title text NOT NULL, detail text NOT NULL,
                name text, stage text, since timestamptz NOT NULL, UNIQUE (topic, partition_key)
            )
        """)
    )
    yield
    connection.execute(text("DROP TABLE pg_temp.wrong"))
    connection.commit()


def _gather_documents(connection: Connection, rules: RetryRules) -> None:
    query, parameters = needing_a_person(rules)
    connection.execute(
        text(f"""
            INSERT INTO pg_temp.wrong (topic, partition_key, title, detail, name, stage, since)
            SELECT '{DOCUMENTS}' || error_code, partition_key, '', '', name, stage, since
            FROM ({query}) AS failing
        """),  # noqa: S608 - constants; values are parameters
        parameters,
    )
    for topic in connection.execute(text("SELECT DISTINCT topic FROM pg_temp.wrong")).scalars().all():
        code = topic.partition(":")[2]
        fault = FAULTS.get(code)
        connection.execute(
            text("UPDATE pg_temp.wrong SET title = :title, detail = :detail WHERE topic = :topic"),
            {
                "topic": topic,
                "title": f"failed: {code}",
                "detail": f"{fault.meaning} What to do: {fault.remedy}"
                if fault
                else "Every run over them was killed. What to do: look at the memory of the machine, "
                "then `ingest-assets retry --class transient`.",
            },
        )


def _stalled(
    connection: Connection,
    minutes: float,
    why_stalled: Callable[[], str],
    awake_since: datetime | None,
) -> Sequence[Trouble]:
    # An upload that was registered waits for a person's backfill.
    row: Any = connection.execute(
        text(f"""
            SELECT count(*) AS waiting, min(progress.discovered_at) AS since
            FROM ingest.document_progress AS progress
            JOIN ingest.document_sources AS source USING (partition_key)
            WHERE partition_key = ANY({WITHOUT_RESULT})
              AND (state = 'in_progress' OR state = 'discovered' AND kind <> 's3')
        """)  # noqa: S608 - a constant
    ).one()
    if not row.waiting:
        return []
    last, late = connection.execute(
        text("""
            SELECT found.last, found.last < now() - make_interval(secs => 60 * :minutes)
            FROM (SELECT greatest(CAST(:since AS timestamptz), CAST(:awake AS timestamptz),
                                  max(heartbeat_at), max(finished_at)) AS last
                  FROM ingest.stage_attempts) AS found
        """),
        {"since": row.since, "awake": awake_since, "minutes": minutes},
    ).one()
    if not late:
        return []
    # The number of those that wait changes; the title stays.
    return [
        Trouble(
            "queue_stalled",
            "Documents wait, and none is worked on.",
            f"{counted(row.waiting, 'document')} in all; none was worked on since "
            f"{last:%Y-%m-%d %H:%M %Z}. "
            + (why_stalled() or "Look at the runs and at the sensor input_directory in Dagit."),
            last,
        )
    ]


def _wrong_set_up(connection: Connection) -> Sequence[Trouble]:
    # What may pass is told of when documents have waited for long, as a queue that stands still.
    by_code = {
        withheld.error_code: withheld
        for withheld in reversed(withheld_launches(connection))
        if withheld.error_class == ConfigurationError.error_class
    }
    return [
        Trouble(
            f"set_up:{code}",
            f"The set-up is wrong: {code}.",
            f"{withheld} No document was lost; what waits is then taken up by itself.",
            withheld.since,
        )
        for code, withheld in by_code.items()
    ]


def _not_looked_at(connection: Connection) -> Sequence[Trouble]:
    # What programs put there and give its rights a moment later is no trouble.
    rows = connection.execute(
        text("""
            SELECT place, since FROM ingest.unreadable_places
            WHERE since < now() - CAST(:lasts AS interval) ORDER BY since, place
        """),
        {"lasts": MAY_PASS},
    ).all()
    if not rows:
        return []
    named = "; ".join(row.place for row in rows[:_NAMED]) + "; …" * (len(rows) > _NAMED)
    return [
        Trouble(
            "inbox_unreadable",
            "Something in the inbox cannot be looked at.",
            f"{named}. What to do: give the user that runs the pipeline the right to look at it; then "
            "what is in it is found by itself.",
            rows[0].since,
        )
    ]


def _add(connection: Connection, troubles: Sequence[Trouble]) -> None:
    for trouble in troubles:
        connection.execute(
            text("""
                INSERT INTO pg_temp.wrong (topic, title, detail, since)
                VALUES (:topic, :title, :detail, coalesce(:since, now()))
            """),
            trouble._asdict(),
        )


def _keep(connection: Connection) -> None:
    """A document that is tried again just now is not mended yet."""
    connection.execute(
        text("""
            INSERT INTO pg_temp.wrong (topic, partition_key, title, detail, name, since)
            SELECT DISTINCT told.topic, told.partition_key, told.title, '', NULL, told.since
            FROM ingest.alerts AS told
            JOIN ingest.document_progress AS progress USING (partition_key)
            WHERE progress.state IN ('discovered', 'in_progress')
            ON CONFLICT DO NOTHING
        """)
    )


def _groups(connection: Connection, channel: str) -> Sequence[Group]:
    rows = connection.execute(
        text(f"""
            SELECT wrong.topic, max(wrong.title) AS title, max(wrong.detail) AS detail,
                   count(wrong.partition_key) AS documents,
                   count(*) FILTER (WHERE told.topic IS NULL) AS fresh,
                   min(wrong.since) AS since,
                   min(wrong.since) FILTER (WHERE told.topic IS NULL) AS first_fresh,
                   max(wrong.since) FILTER (WHERE told.topic IS NULL) AS last_fresh,
                   (array_agg(name ORDER BY told.topic IS NULL DESC, wrong.since, partition_key)
                        FILTER (WHERE name IS NOT NULL))[1:{_NAMED}] AS names,
                   (array_agg(wrong.partition_key
                        ORDER BY told.topic IS NULL DESC, wrong.since, partition_key)
                        FILTER (WHERE name IS NOT NULL))[1:{_NAMED}] AS partition_keys,
                   (array_agg(wrong.stage
                        ORDER BY told.topic IS NULL DESC, wrong.since, partition_key)
                        FILTER (WHERE name IS NOT NULL))[1:{_NAMED}] AS stages
            FROM pg_temp.wrong
            LEFT JOIN (SELECT topic, partition_key AS told_key FROM ingest.alerts
                       WHERE channel = :channel) AS told
                ON told.topic = wrong.topic AND told_key IS NOT DISTINCT FROM wrong.partition_key
            GROUP BY wrong.topic
            ORDER BY count(*) FILTER (WHERE told.topic IS NULL) = 0, documents DESC, wrong.topic
        """),  # noqa: S608 - a number of this module
        {"channel": channel},
    )
    return [Group(**row._mapping) for row in rows]


def _letter(connection: Connection, channel: str, rules: AlertRules) -> Letter | None:
    """What is new to a channel, unless it is better told later."""
    now, sent_at = connection.execute(
        text("""
            SELECT now(), (SELECT sent_at FROM ingest.alert_channels WHERE channel = :channel)
        """),
        {"channel": channel},
    ).one()
    pause = timedelta(minutes=rules.pause_minutes)
    quiet = min(timedelta(seconds=_QUIET_SECONDS), pause)
    if sent_at and sent_at + pause > now:
        return None
    groups = _groups(connection, channel)
    over = connection.execute(
        text("""
            SELECT topic, max(title) AS title, '' AS detail, count(partition_key) AS documents,
                   min(since) AS since
            FROM ingest.alerts AS told
            WHERE channel = :channel
              AND NOT EXISTS (SELECT FROM pg_temp.wrong WHERE wrong.topic = told.topic)
            GROUP BY topic ORDER BY topic
        """),
        {"channel": channel},
    )
    fresh = [group for group in groups if group.fresh]
    more_may_come = all(group.documents and group.first_fresh + pause > now for group in fresh) and any(
        group.last_fresh + quiet > now for group in fresh
    )
    ended = [Group(**row._mapping) for row in over]
    if not ended and (not fresh or more_may_come):
        return None
    return news(groups, ended, rules.dagit, rules.place)


def _digest_due(connection: Connection, channel: str, rules: AlertRules) -> bool:
    if rules.digest_hour is None:
        return False
    sent_at = connection.execute(
        text("SELECT digest_at FROM ingest.alert_channels WHERE channel = :channel"),
        {"channel": channel},
    ).scalar_one_or_none()
    now = datetime.now().astimezone()
    due = now.replace(hour=rules.digest_hour, minute=0, second=0, microsecond=0)
    return now >= due and (sent_at is None or sent_at < due)


def _last_day(connection: Connection) -> dict[str, int]:
    rows = connection.execute(
        text("""
            SELECT state, count(*) FROM ingest.document_progress
            WHERE finished_at > now() - interval '1 day' GROUP BY 1 ORDER BY 2 DESC
        """)
    ).all()
    return dict(map(tuple, rows))


def _record(connection: Connection, channel: str, fault: str, *, digest: bool) -> None:
    """What came of a letter: a channel that was told knows all that is wrong.

    A topic has a row of its own beside those of its documents, which go where these are forgotten.
    """
    connection.execute(
        text("""
            INSERT INTO ingest.alert_channels AS known (channel, sent_at, digest_at, failed_at, error)
            VALUES (:channel, CASE WHEN :fault = '' THEN now() END,
                    CASE WHEN :fault = '' AND :digest THEN now() END,
                    CASE WHEN :fault <> '' THEN now() END, nullif(:fault, ''))
            ON CONFLICT (channel) DO UPDATE SET
                sent_at = coalesce(excluded.sent_at, known.sent_at),
                digest_at = coalesce(excluded.digest_at, known.digest_at),
                failed_at = CASE WHEN :fault <> '' THEN coalesce(known.failed_at, now()) END,
                error = excluded.error
        """),
        {"channel": channel, "fault": fault, "digest": digest},
    )
    if fault:
        return
    for statement in (
        """
        DELETE FROM ingest.alerts AS told WHERE channel = :channel AND NOT EXISTS (
            SELECT FROM pg_temp.wrong WHERE wrong.topic = told.topic
              AND (told.partition_key IS NULL OR wrong.partition_key = told.partition_key))
        """,
        """
        INSERT INTO ingest.alerts (channel, topic, partition_key, title, since)
        SELECT :channel, topic, partition_key, title, since FROM pg_temp.wrong
        UNION ALL
        SELECT DISTINCT ON (topic) :channel, topic, NULL, title, since FROM pg_temp.wrong
        WHERE partition_key IS NOT NULL
        ON CONFLICT DO NOTHING
        """,
    ):
        connection.execute(text(statement), {"channel": channel})
