"""What the configuration says of the receiver of alerts."""

from __future__ import annotations

import ipaddress
from typing import Annotated

import msgspec

from aiops.alert_formats import MAPPED, FieldMapping
from aiops.errors import UserError
from aiops.notify.config import Secret


class Receiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where other tools send their alerts by HTTP.

    Attributes
    ----------
    host : text
        Address to listen on.
    port : number
        0 = any free port, which the log names.
    token : secret
        What a sender must give, as `Authorization: Bearer`, or as the password of basic authentication. Needed where `host` is
        not this machine alone.
    environment : text
        Of alerts that name none.
    largest : number
        Bytes of a request at most.
    rate : number
        Requests a second at most; beyond it they are refused with status 429.
    mappings : list
        How to read the alerts of tools that are not known.
    """

    host: Annotated[str, msgspec.Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9480
    token: Secret = ""
    environment: Annotated[str, msgspec.Meta(min_length=1)] = "default"
    largest: Annotated[int, msgspec.Meta(ge=1_000, le=4 << 20)] = 1 << 20
    rate: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    mappings: tuple[FieldMapping, ...] = ()

    def __repr__(self) -> str:
        return f"Receiver(host={self.host!r}, port={self.port!r})"

    def __post_init__(self) -> None:
        """Refuse what the types allow and the receiver does not."""
        found = []
        if not self.token and not _loopback(self.host):
            found.append(f"token is needed where anybody can reach {self.host}: who sends alerts opens incidents")
        for i, mapping in enumerate(self.mappings):
            if not mapping.name.isidentifier():
                found.append(f"mappings[{i}].name: {mapping.name!r}: letters, digits and '_'")
            found += [
                f"mappings[{i}].fields.{name}: an alert has {', '.join(MAPPED)}"
                for name in mapping.fields
                if name not in MAPPED
            ]
            if "name" not in mapping.fields:
                found.append(f"mappings[{i}].fields: the place of name is needed")
        if found:
            raise UserError("; ".join(found))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
