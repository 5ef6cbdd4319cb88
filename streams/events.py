"""Headers of records on public topics: CloudEvents 1.0 in the binary mode of Kafka, so that any tool knows what a value is.

``ce_source`` and ``ce_id`` together are unique for each record that says something new: what comes twice under them, as after
a crash, is the same.
"""

from __future__ import annotations

from aiops.codec import SCHEMA_VERSION
from streams.records import Headers

SOURCE = b"aiops"


def event_headers(
    record: str, happened: str, about: str, time: str, subject: str, version: int | None = None
) -> Headers:
    """Headers of a record.

    Parameters
    ----------
    record : str
        Which record of docs/schema it is, in lower case.
    happened : str
        What it tells: ``opened``, ``updated`` ...
    about : str
        Id of the event, unique.
    time : str
        Event time, RFC 3339.
    subject : str
        Id of what it is about.
    version : int, optional
        Of what it is about, where that has versions.

    >>> dict(event_headers("incident", "opened", "ab/1", "2024-01-01T00:00:00.000Z", "ab", 1))["ce_type"]
    b'aiops.incident.opened.v1'
    """
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_type", f"aiops.{record}.{happened}.v1".encode()),
        ("ce_id", about.encode()),
        ("ce_source", SOURCE),
        ("ce_subject", subject.encode()),
        ("ce_time", time.encode()),
        ("ce_dataschema", f"urn:aiops:schema:{record}:{SCHEMA_VERSION}".encode()),
        ("content-type", b"application/json"),
    ]
    return headers if version is None else [*headers, ("version", b"%d" % version)]
